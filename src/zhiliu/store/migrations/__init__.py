"""Alembic revisions. They are part of the wheel and run when a store is opened."""
