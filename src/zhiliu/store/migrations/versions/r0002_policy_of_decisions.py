"""Decisions keep the weights of the objective and which rows were not to be served again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("decisions", sa.Column("weights", sa.Text))
    op.add_column("decisions", sa.Column("seen_count", sa.Integer))
    op.add_column("decisions", sa.Column("seen_hash", sa.Text))
