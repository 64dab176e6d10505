"""What Alembic runs: our own transaction, no autogeneration."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
context.run_migrations()
