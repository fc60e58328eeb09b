"""Alembic's entry: runs on the connection and in the transaction that `store.migrate` gives it."""

from alembic import context

from store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
