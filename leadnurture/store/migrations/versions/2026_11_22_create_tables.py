"""Create the first tables.

Written out, not taken from the tables of today: a migration says what was true on its day.
"""

from typing import Final, TypedDict

import sqlalchemy as sa
from alembic import op

revision = "2026_11_22_create"
down_revision = None
branch_labels = None
depends_on = None

ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE: Final = sa.String().with_variant(sa.String(collation="C"), "postgresql")
INSTANT: Final = sa.BigInteger()
"""Microseconds since 1970, UTC."""


class _Where(TypedDict):
    sqlite_where: sa.TextClause
    postgresql_where: sa.TextClause


def only(rows: str) -> _Where:
    """The condition of a partial index, on both databases."""
    return {"sqlite_where": sa.text(rows), "postgresql_where": sa.text(rows)}


def upgrade() -> None:
    """Create the tables, those first that others refer to."""
    _create_people()
    _create_definitions()
    _create_journeys()
    _create_reactions()
    _create_sales()
    _create_inbox()
    _create_operations()


def _create_people() -> None:
    """Accounts and leads, and what is known of them."""
    op.create_table(
        "account",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("domain", sa.String()),
        sa.Column("owner", sa.String()),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("domain", name="uq_account_domain"),
        sa.UniqueConstraint("name_key", name="uq_account_name_key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "account_fact",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("text", sa.String()),
        sa.Column("number", sa.Float()),
        sa.PrimaryKeyConstraint("account_id", "name", name="pk_account_fact"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_account_fact_account_id"),
    )
    op.create_table(
        "product",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name", name="pk_product"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_product_account_id"),
    )
    op.create_table(
        "lead",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("email_key", sa.String(), nullable=False),
        sa.Column("first_name", sa.String(), nullable=False),
        sa.Column("last_name", sa.String(), nullable=False),
        sa.Column("account_id", ID),
        sa.Column("track", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("stage_since", INSTANT, nullable=False),
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("zone_given", sa.String(), nullable=False),
        sa.Column("luck", sa.Integer(), nullable=False),
        sa.Column("fit", sa.Integer(), nullable=False),
        sa.Column("engagement", sa.Integer(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("track_reaction_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("told_engaged", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("hold_until", INSTANT),
        sa.Column("look_at", INSTANT),
        sa.Column("crm_id", sa.String()),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lead"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_lead_account_id"),
        sa.UniqueConstraint("crm_id", name="uq_lead_crm_id"),
        sa.UniqueConstraint("email_key", name="uq_lead_email_key"),
        sqlite_autoincrement=True,
        postgresql_with={"fillfactor": 85},
    )
    op.create_index("ix_lead_account_id", "lead", ["account_id", "id"])
    op.create_index("ix_lead_look", "lead", ["track", "look_at"], **only("look_at IS NOT NULL"))
    untold = "stage IN ('engaged', 'qualified', 'handed_off', 'accepted', 'opportunity', 'won')"
    op.create_index(
        "ix_lead_untold", "lead", ["stage_since"],
        **only(f"account_id IS NOT NULL AND told_engaged <> ({untold})"),
    )  # fmt: skip
    op.create_table(
        "lead_key",
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("system", "key", name="pk_lead_key"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_lead_key_lead_id"),
    )
    op.create_index("ix_lead_key_lead_id", "lead_key", ["lead_id"])
    op.create_table(
        "lead_merge",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("kept_id", sa.BigInteger(), nullable=False),
        sa.Column("gone_id", sa.BigInteger(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("undone_at", INSTANT),
        sa.Column("undone_by", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_lead_merge"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_lead_merge_kept", "lead_merge", ["kept_id"])
    op.create_index("ix_lead_list", "lead", ["track", "stage", "score", "id"])
    for owner in ("account", "lead"):
        op.create_table(
            f"{owner}_word",
            sa.Column(f"{owner}_id", ID, nullable=False),
            sa.Column("word", BYTEWISE, nullable=False),
            sa.PrimaryKeyConstraint(f"{owner}_id", "word", name=f"pk_{owner}_word"),
            sa.ForeignKeyConstraint([f"{owner}_id"], [f"{owner}.id"], name=f"fk_{owner}_word_{owner}_id"),
            sqlite_with_rowid=False,
        )
        op.create_index(f"ix_{owner}_word", f"{owner}_word", ["word", f"{owner}_id"])
    op.create_table(
        "lead_fact",
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("text", sa.String()),
        sa.Column("number", sa.Float()),
        sa.PrimaryKeyConstraint("lead_id", "name", name="pk_lead_fact"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_lead_fact_lead_id"),
    )
    op.create_table(
        "lead_tag",
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("lead_id", "tag", name="pk_lead_tag"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_lead_tag_lead_id"),
    )
    op.create_table(
        "consent",
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("given_at", INSTANT, nullable=False),
        sa.Column("withdrawn_at", INSTANT),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("lead_id", "purpose", name="pk_consent"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_consent_lead_id"),
    )
    op.create_table(
        "suppression",
        sa.Column("email_key", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("email_key", name="pk_suppression"),
    )
    op.create_table(
        "preference",
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("mails", sa.Integer()),
        sa.Column("paused_until", INSTANT),
        sa.Column("chosen_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("lead_id", name="pk_preference"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_preference_lead_id"),
    )
    op.create_table(
        "unwanted_topic",
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("lead_id", "topic", name="pk_unwanted_topic"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_unwanted_topic_lead_id"),
    )


def _create_definitions() -> None:
    """What `apply` stores, and the calendar."""
    op.create_table(
        "project_version",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("applied_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_project_version"),
    )
    op.create_table(
        "program",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("track", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("is_live", sa.Boolean(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String()),
        sa.Column("lease_until", INSTANT),
        sa.PrimaryKeyConstraint("name", name="pk_program"),
    )
    op.create_table(
        "program_version",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("applied_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_program_version"),
        sa.ForeignKeyConstraint(["program"], ["program.name"], name="fk_program_version_program"),
        sa.UniqueConstraint("program", "number", name="uq_program_version_program_number"),
    )
    op.create_table(
        "program_step",
        sa.Column("version_id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("version_id", "name", name="pk_program_step"),
        sa.ForeignKeyConstraint(["version_id"], ["program_version.id"], name="fk_program_step_version_id"),
    )
    op.create_index("ix_program_step_program", "program_step", ["program"])
    op.create_table(
        "content",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("link", sa.String()),
        sa.Column("seats", sa.Integer()),
        sa.Column("published_day", sa.Integer(), nullable=False),
        sa.Column("until_at", INSTANT),
        sa.Column("is_live", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_content"),
    )
    op.create_table(
        "content_topic",
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("content", "topic", name="pk_content_topic"),
        sa.ForeignKeyConstraint(["content"], ["content.name"], name="fk_content_topic_content"),
    )
    op.create_table(
        "content_track",
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("track", sa.String(), nullable=False),
        sa.Column("locale", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("content", "track", "locale", name="pk_content_track"),
        sa.ForeignKeyConstraint(["content"], ["content.name"], name="fk_content_track_content"),
    )
    op.create_table(
        "content_session",
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("starts_at", INSTANT),
        sa.Column("before_at", INSTANT),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("closed_at", INSTANT),
        sa.PrimaryKeyConstraint("content", "name", name="pk_content_session"),
        sa.ForeignKeyConstraint(["content"], ["content.name"], name="fk_content_session_content"),
    )
    op.create_table(
        "source",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_source"),
    )
    op.create_table(
        "calendar_day",
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("begins_at", INSTANT, nullable=False),
        sa.Column("ends_at", INSTANT, nullable=False),
        sa.Column("opens_at", INSTANT),
        sa.Column("closes_at", INSTANT),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("business_number", sa.Integer(), nullable=False),
        sa.Column("shift_from", sa.Integer(), nullable=False),
        sa.Column("shift", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("zone", "day", name="pk_calendar_day"),
    )
    op.create_index("ix_calendar_day_begins", "calendar_day", ["zone", "begins_at"])
    op.create_index("ix_calendar_day_business", "calendar_day", ["zone", "business_number", "day"])
    op.create_index(
        "ix_calendar_day_closes", "calendar_day", ["zone", "closes_at"], **only("closes_at IS NOT NULL")
    )


def _create_journeys() -> None:
    """Where leads stand, how they came there, and what they were sent."""
    op.create_table(
        "enrollment",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("version_id", ID, nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("arrived_at", INSTANT, nullable=False),
        sa.Column("seen_reaction_id", sa.BigInteger(), nullable=False),
        sa.Column("acted", sa.Boolean(), nullable=False),
        sa.Column("trouble", sa.String()),
        sa.Column("why", sa.String()),
        sa.Column("message_id", sa.BigInteger()),
        sa.Column("content", sa.String()),
        sa.Column("session_content", sa.String()),
        sa.Column("session", sa.String()),
        sa.Column("deadline_at", INSTANT),
        sa.Column("due_at", INSTANT),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT),
        sa.Column("goal_at", INSTANT),
        sa.Column("paused_at", INSTANT),
        sa.Column("pause", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_enrollment_lead_id"),
        sa.ForeignKeyConstraint(["program"], ["program.name"], name="fk_enrollment_program"),
        sa.ForeignKeyConstraint(["version_id"], ["program_version.id"], name="fk_enrollment_version_id"),
        postgresql_with={"fillfactor": 85},
    )
    op.create_index(
        "ix_enrollment_due", "enrollment", ["program", "step", "due_at"], **only("status = 'active'")
    )
    op.create_index("ix_enrollment_lead", "enrollment", ["lead_id", "program"])
    op.create_index(
        "uq_enrollment_live",
        "enrollment",
        ["program", "lead_id"],
        unique=True,
        **only("status IN ('active','paused')"),
    )
    op.create_table(
        "transition",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("enrollment_id", ID, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("from_step", sa.String()),
        sa.Column("to_step", sa.String()),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("saw", sa.String()),
        sa.Column("reaction_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_transition"),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollment.id"], name="fk_transition_enrollment_id"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_transition_lead_id"),
    )
    op.create_index("ix_transition_enrollment", "transition", ["enrollment_id", "to_step"])
    op.create_index("ix_transition_lead", "transition", ["lead_id"])
    op.create_table(
        "move_count",
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("from_step", sa.String(), nullable=False),
        sa.Column("to_step", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("moves", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("program", "day", "from_step", "to_step", "rule", name="pk_move_count"),
        sa.ForeignKeyConstraint(["program"], ["program.name"], name="fk_move_count_program"),
    )
    op.create_table(
        "message",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("enrollment_id", ID),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("track", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("session_content", sa.String()),
        sa.Column("session", sa.String()),
        sa.Column("variant", sa.String()),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("needs_consent", sa.Boolean(), nullable=False),
        sa.Column("is_service", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("occasion", sa.String()),
        sa.Column("seat_id", sa.BigInteger()),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("planned_at", INSTANT, nullable=False),
        sa.Column("send_at", INSTANT, nullable=False),
        sa.Column("late_at", INSTANT),
        sa.Column("late", sa.String(), nullable=False),
        sa.Column("wait_until", INSTANT),
        sa.Column("lease_owner", sa.String()),
        sa.Column("lease_until", INSTANT),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("attempt_at", INSTANT),
        sa.Column("sent_at", INSTANT),
        sa.Column("settled_at", INSTANT),
        sa.Column("provider_id", sa.String()),
        sa.Column("template", sa.String()),
        sa.Column("facts", sa.Text()),
        sa.Column("trouble", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollment.id"], name="fk_message_enrollment_id"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_message_lead_id"),
        sa.UniqueConstraint("enrollment_id", "step", "visit", name="uq_message_enrollment_id_step_visit"),
        sqlite_autoincrement=True,
        postgresql_with={"fillfactor": 85},
    )
    op.create_index("ix_message_lead", "message", ["lead_id", "content"])
    op.create_index(
        "uq_message_seat", "message", ["seat_id", "occasion"], unique=True, **only("occasion IS NOT NULL")
    )
    op.create_index("ix_message_planned", "message", ["send_at", "id"], **only("status = 'planned'"))
    op.create_index("ix_message_sending", "message", ["lease_until"], **only("status = 'sending'"))


def _create_reactions() -> None:
    """What leads do, and what follows from it."""
    op.create_table(
        "reaction",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("content", sa.String()),
        sa.Column("session", sa.String()),
        sa.Column("message_id", sa.BigInteger()),
        sa.Column("argument", sa.String()),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.Column("counts_at", INSTANT),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("natural_key", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reaction"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_reaction_lead_id"),
        sa.UniqueConstraint("key", name="uq_reaction_key"),
        sa.UniqueConstraint("natural_key", name="uq_reaction_natural_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_reaction_lead", "reaction", ["lead_id", "kind", "id"])
    op.create_index("ix_reaction_message", "reaction", ["message_id"])
    _create_clicks()
    op.create_table(
        "interest",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("reaction_id", ID),
        sa.Column("begins_at", INSTANT, nullable=False),
        sa.Column("ends_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_interest"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_interest_lead_id"),
        sa.ForeignKeyConstraint(["reaction_id"], ["reaction.id"], name="fk_interest_reaction_id"),
        sa.UniqueConstraint("lead_id", "topic", "subject", name="uq_interest_lead_id_topic_subject"),
    )
    op.create_table(
        "standing",
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("session", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reaction_id", sa.BigInteger(), nullable=False),
        sa.Column("seat_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("lead_id", "content", "session", name="pk_standing"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_standing_lead_id"),
    )
    op.create_index("ix_standing_session", "standing", ["content", "session", "kind"])
    op.create_table(
        "point",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("track", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("reaction_id", sa.BigInteger()),
        sa.Column("agreement", sa.String(), nullable=False),
        sa.Column("begins_at", INSTANT, nullable=False),
        sa.Column("ends_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_point"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_point_lead_id"),
        sa.UniqueConstraint(
            "lead_id", "track", "rule", "subject", name="uq_point_lead_id_track_rule_subject"
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "stage_change",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("track", sa.String(), nullable=False),
        sa.Column("from_stage", sa.String(), nullable=False),
        sa.Column("to_stage", sa.String(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("saw", sa.String()),
        sa.Column("agreement", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stage_change"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_stage_change_lead_id"),
    )
    op.create_index("ix_stage_change_lead_id", "stage_change", ["lead_id"])
    op.create_table(
        "lead_note",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("reaction_id", ID),
        sa.PrimaryKeyConstraint("id", name="pk_lead_note"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_lead_note_lead_id"),
        sa.ForeignKeyConstraint(["reaction_id"], ["reaction.id"], name="fk_lead_note_reaction_id"),
    )
    op.create_index("ix_lead_note_lead_id", "lead_note", ["lead_id"])
    op.create_table(
        "almost_qualified",
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("missing", sa.String(), nullable=False),
        sa.Column("since_at", INSTANT, nullable=False),
        sa.Column("is_told", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("lead_id", name="pk_almost_qualified"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_almost_qualified_lead_id"),
    )
    op.create_index("ix_almost_qualified_untold", "almost_qualified", ["since_at"], **only("NOT is_told"))


def _create_clicks() -> None:
    """Clicks as they came in, what was said of them, and the way back from where they led."""
    op.create_table(
        "click",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("message_id", sa.BigInteger()),
        sa.Column("program", sa.String()),
        sa.Column("step", sa.String()),
        sa.Column("content", sa.String()),
        sa.Column("session", sa.String()),
        sa.Column("link", sa.String()),
        sa.Column("method", sa.String()),
        sa.Column("agent", sa.Text()),
        sa.Column("network", sa.String()),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("natural_key", sa.String()),
        sa.Column("judgement", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("judge_at", INSTANT),
        sa.Column("judged_at", INSTANT),
        sa.Column("judged_by", sa.String()),
        sa.Column("reaction_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_click"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_click_lead_id"),
        sa.UniqueConstraint("key", name="uq_click_key"),
        sa.UniqueConstraint("natural_key", name="uq_click_natural_key"),
        sqlite_autoincrement=True,
        postgresql_with={"fillfactor": 85},
    )
    op.create_index("ix_click_due", "click", ["judge_at"], **only("judge_at IS NOT NULL"))
    op.create_index("ix_click_lead", "click", ["lead_id", "recorded_at"])
    op.create_index("ix_click_message", "click", ["message_id", "at"])
    op.create_index("ix_click_network", "click", ["network", "at"], **only("network IS NOT NULL"))
    op.create_index("ix_click_machine", "click", ["program", "recorded_at"], **only("judgement = 'machine'"))
    op.create_table(
        "click_revision",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("click_id", ID, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("was", sa.String(), nullable=False),
        sa.Column("was_reason", sa.String(), nullable=False),
        sa.Column("judgement", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("by", sa.String()),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_click_revision"),
        sa.ForeignKeyConstraint(["click_id"], ["click.id"], name="fk_click_revision_click_id"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_click_revision_lead_id"),
    )
    op.create_index("ix_click_revision_click_id", "click_revision", ["click_id"])
    op.create_index("ix_click_revision_lead_id", "click_revision", ["lead_id"])
    op.create_table(
        "way_back",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("enrollment_id", ID, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("reaction_id", sa.BigInteger()),
        sa.Column("left_at", INSTANT, nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("arrived_at", INSTANT, nullable=False),
        sa.Column("seen_reaction_id", sa.BigInteger(), nullable=False),
        sa.Column("acted", sa.Boolean(), nullable=False),
        sa.Column("why", sa.String()),
        sa.Column("message_id", sa.BigInteger()),
        sa.Column("content", sa.String()),
        sa.Column("session_content", sa.String()),
        sa.Column("session", sa.String()),
        sa.Column("deadline_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_way_back"),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollment.id"], name="fk_way_back_enrollment_id"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_way_back_lead_id"),
    )
    op.create_index("ix_way_back_enrollment", "way_back", ["enrollment_id"])
    op.create_index("ix_way_back_lead", "way_back", ["lead_id"])


def _create_sales() -> None:
    """What is offered to sales, and what comes of it."""
    op.create_table(
        "handoff",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("track", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("wanted", sa.String()),
        sa.Column("enrollment_id", sa.BigInteger()),
        sa.Column("agreement", sa.String(), nullable=False),
        sa.Column("fit", sa.Integer(), nullable=False),
        sa.Column("engagement", sa.Integer(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("stage_before", sa.String(), nullable=False),
        sa.Column("assigned_to", sa.String()),
        sa.Column("due_at", INSTANT),
        sa.Column("remind_at", INSTANT),
        sa.Column("decided_at", INSTANT),
        sa.Column("decided_by", sa.String()),
        sa.Column("decided_reaction_id", sa.BigInteger()),
        sa.Column("return_reason", sa.String()),
        sa.Column("note", sa.Text()),
        sa.Column("is_told", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_handoff"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_handoff_lead_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_handoff_lead", "handoff", ["lead_id"])
    op.create_index("ix_handoff_untold", "handoff", ["lead_id"], **only("NOT is_told"))
    op.create_index("uq_handoff_open", "handoff", ["lead_id"], unique=True, **only("status = 'open'"))
    _create_tasks()
    op.create_table(
        "notice",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("handoff_id", ID),
        sa.Column("task_id", ID),
        sa.Column("reply_id", sa.BigInteger()),
        sa.Column("key", sa.String()),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.Text()),
        sa.Column("wanted", sa.String()),
        sa.Column("person", sa.String()),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("planned_at", INSTANT, nullable=False),
        sa.Column("sent_at", INSTANT),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("retry_at", INSTANT),
        sa.Column("trouble", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_notice"),
        sa.CheckConstraint(
            "kind IN ('handoff','reminder','escalation','withdrawn','task','tell','reply')",
            name=op.f("ck_notice_kind"),
        ),
        sa.ForeignKeyConstraint(["handoff_id"], ["handoff.id"], name="fk_notice_handoff_id"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_notice_lead_id"),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name="fk_notice_task_id"),
        sa.UniqueConstraint("handoff_id", "kind", name="uq_notice_handoff_id_kind"),
        sa.UniqueConstraint("key", name="uq_notice_key"),
        sa.UniqueConstraint("reply_id", name="uq_notice_reply_id"),
        sa.UniqueConstraint("task_id", name="uq_notice_task_id"),
    )
    op.create_index("ix_notice_lead", "notice", ["lead_id"])
    op.create_index(
        "ix_notice_unassigned", "notice", ["planned_at"], **only("status = 'planned' AND person IS NULL")
    )
    op.create_index("ix_notice_planned", "notice", ["planned_at"], **only("status = 'planned'"))
    op.create_table(
        "deal",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("account_id", ID),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("value", sa.Float()),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deal"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_deal_account_id"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_deal_lead_id"),
        sa.UniqueConstraint("key", name="uq_deal_key"),
    )
    op.create_index("ix_deal_lead_id", "deal", ["lead_id"])


def _create_tasks() -> None:
    """What our people are to do, and what was answered."""
    op.create_table(
        "task",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("enrollment_id", ID),
        sa.Column("program", sa.String()),
        sa.Column("step", sa.String()),
        sa.Column("visit", sa.Integer()),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("wanted", sa.String()),
        sa.Column("person", sa.String()),
        sa.Column("ask", sa.Text()),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT),
        sa.Column("closed_by", sa.String()),
        sa.Column("note", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_task"),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollment.id"], name="fk_task_enrollment_id"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_task_lead_id"),
        sa.UniqueConstraint("enrollment_id", "step", "visit", name="uq_task_enrollment_id_step_visit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_task_lead_id", "task", ["lead_id"])
    op.create_index("ix_task_open", "task", ["opened_at"], **only("status = 'open'"))
    op.create_index("ix_task_unassigned", "task", ["opened_at"], **only("status = 'open' AND person IS NULL"))
    op.create_index(
        "uq_task_missing",
        "task",
        ["lead_id"],
        unique=True,
        **only("status = 'open' AND enrollment_id IS NULL"),
    )
    op.create_table(
        "answer",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("message_id", ID),
        sa.Column("task_id", ID),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("told_by", sa.String()),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_answer"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_answer_lead_id"),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_answer_message_id"),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name="fk_answer_task_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_answer_lead_id", "answer", ["lead_id"])
    op.create_index("ix_answer_message", "answer", ["message_id"])
    op.create_index("ix_answer_task", "answer", ["task_id"])


def _create_inbox() -> None:
    """What comes in."""
    op.create_table(
        "inbox",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("key", sa.String()),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("retry_at", INSTANT),
        sa.Column("trouble", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_inbox"),
        sa.UniqueConstraint("source", "key", name="uq_inbox_source_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_inbox_open", "inbox", ["id"], **only("status <> 'done'"))
    op.create_table(
        "inbox_item",
        sa.Column("inbox_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("message_id", sa.BigInteger()),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("inbox_id", "position", name="pk_inbox_item"),
        sa.ForeignKeyConstraint(["inbox_id"], ["inbox.id"], name="fk_inbox_item_inbox_id"),
        sa.UniqueConstraint("source", "key", name="uq_inbox_item_source_key"),
    )
    op.create_index("ix_inbox_item_odd", "inbox_item", ["outcome"], **only("outcome <> 'recorded'"))
    op.create_table(
        "reply",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("inbox_id", ID, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("message_id", sa.BigInteger()),
        sa.Column("matched_by", sa.String(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sorted_at", INSTANT),
        sa.Column("sorted_by", sa.String()),
        sa.Column("decision", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_reply"),
        sa.ForeignKeyConstraint(["inbox_id"], ["inbox.id"], name="fk_reply_inbox_id"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_reply_lead_id"),
        sa.UniqueConstraint("inbox_id", name="uq_reply_inbox_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_reply_lead_id", "reply", ["lead_id"])
    op.create_index("ix_reply_unsorted", "reply", ["lead_id"], **only("sorted_at IS NULL"))


def _create_operations() -> None:
    """What runs, and who did what."""
    op.create_table(
        "wave",
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("due", sa.Integer(), nullable=False),
        sa.Column("moved", sa.Integer(), nullable=False),
        sa.Column("planned", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float()),
        sa.PrimaryKeyConstraint("program", "number", name="pk_wave"),
        sa.ForeignKeyConstraint(["program"], ["program.name"], name="fk_wave_program"),
    )
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("now_at", INSTANT, nullable=False),
        sa.Column("is_held", sa.Boolean()),
        sa.PrimaryKeyConstraint("id", name="pk_clock"),
    )
    op.create_table(
        "audit",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_subject", "audit", ["subject"])
