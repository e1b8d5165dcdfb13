"""Run by Alembic for every command. The connection is handed in by `controller.storage.migrate`; there is no alembic.ini."""

from alembic import context

from controller.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
