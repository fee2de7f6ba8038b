"""Run by Alembic on the connection that ``schema.upgrade`` hands over: one transaction for all revisions."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
