"""Create the first tables."""

from alembic import op

from leadnurture.store.tables import metadata

revision = "2026_11_22_create"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the first tables."""
    metadata.create_all(op.get_bind())
