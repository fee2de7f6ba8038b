"""The first schema: log, catalogue, people, decisions, dead letters, consumer offsets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

LONG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    events()
    videos()
    people()
    decisions()
    bookkeeping()


def events() -> None:
    op.create_table(
        "events",
        sa.Column("log_offset", LONG, sa.Identity(), nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("time", LONG, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("has_account", sa.SmallInteger, nullable=False),
        sa.Column("session_id", sa.Text),
        sa.Column("video_id", sa.Text),
        sa.Column("surface", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("position_ms", LONG),
        sa.Column("watch_ms", LONG),
        sa.Column("props", sa.Text),
        sa.PrimaryKeyConstraint("log_offset", name="events_pkey"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_event_id", "events", ["event_id"], unique=True)
    op.create_index("events_person_time", "events", ["person", "time"])


def videos() -> None:
    op.create_table(
        "videos",
        sa.Column("row_number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("video_id", sa.Text, nullable=False),
        sa.Column("author_id", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("duration_ms", LONG, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("published_ms", LONG, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("props", sa.Text),
        sa.PrimaryKeyConstraint("row_number", name="videos_pkey"),
    )
    op.create_index("videos_video_id", "videos", ["video_id"], unique=True)


def people() -> None:
    op.create_table(
        "people",
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("age_band", sa.Text, nullable=False),
        sa.Column("gender", sa.Text, nullable=False),
        sa.Column("occupation", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("activity", sa.Text, nullable=False),
        sa.Column("follow_count", LONG, nullable=False),
        sa.Column("fan_count", LONG, nullable=False),
        sa.Column("friend_count", LONG, nullable=False),
        sa.Column("registered_ms", LONG, nullable=False),
        sa.Column("props", sa.Text),
        sa.PrimaryKeyConstraint("person_id", name="people_pkey"),
    )


def decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("time_ms", LONG, nullable=False),
        sa.Column("surface", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("candidate_hash", sa.Text, nullable=False),
        sa.Column("candidate_count", sa.Integer, nullable=False),
        sa.Column("seed", LONG, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("context", sa.Text),
        sa.Column("dropped", sa.Text),
        sa.Column("failed", sa.Text),
        sa.PrimaryKeyConstraint("request_id", name="decisions_pkey"),
    )
    op.create_index("decisions_person_time_ms", "decisions", ["person", "time_ms"])
    op.create_table(
        "decision_items",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("slot", sa.Integer, nullable=False),
        sa.Column("video_id", sa.Text, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("propensity", sa.Double, nullable=False),
        sa.Column("sources", sa.Text, nullable=False),
        sa.Column("heads", sa.Text, nullable=False),
        sa.Column("features", sa.LargeBinary),
        sa.Column("reasons", sa.Text),
        sa.PrimaryKeyConstraint("request_id", "slot", name="decision_items_pkey"),
    )


def bookkeeping() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", LONG, sa.Identity(), nullable=False),
        sa.Column("received_ms", LONG, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="dead_letters_pkey"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "consumer_offsets",
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("log_offset", LONG, nullable=False),
        sa.PrimaryKeyConstraint("consumer", name="consumer_offsets_pkey"),
    )
