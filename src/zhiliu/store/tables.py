"""The tables, the same on SQLite and PostgreSQL. ``migrations/`` builds them; a test compares the two.

JSON is kept as text and written by msgspec: no query looks inside it, and the bytes come back as they were.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={"ix": "%(table_name)s_%(column_0_N_name)s", "pk": "%(table_name)s_pkey"}
)

Long = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on both; SQLite gives offsets only to a column called INTEGER."""

events = Table(
    "events",
    metadata,
    Column("log_offset", Long, Identity(), primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("time", Long, nullable=False),
    Column("person", Text, nullable=False),
    Column("has_account", SmallInteger, nullable=False),
    Column("session_id", Text),
    Column("video_id", Text),
    Column("surface", Text, nullable=False),
    Column("request_id", Text),
    Column("position_ms", Long),
    Column("watch_ms", Long),
    Column("props", Text),
    sqlite_autoincrement=True,  # an offset is never given twice, not even after an erasure at the end
)
Index("events_event_id", events.c.event_id, unique=True)
Index("events_person_time", events.c.person, events.c.time)

videos = Table(
    "videos",
    metadata,
    Column("row_number", Integer, primary_key=True, autoincrement=False),
    Column("video_id", Text, nullable=False),
    Column("author_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("duration_ms", Long, nullable=False),
    Column("language", Text, nullable=False),
    Column("published_ms", Long, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("props", Text),
)
Index("videos_video_id", videos.c.video_id, unique=True)

people = Table(
    "people",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("age_band", Text, nullable=False),
    Column("gender", Text, nullable=False),
    Column("occupation", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("activity", Text, nullable=False),
    Column("follow_count", Long, nullable=False),
    Column("fan_count", Long, nullable=False),
    Column("friend_count", Long, nullable=False),
    Column("registered_ms", Long, nullable=False),
    Column("props", Text),
)

decisions = Table(
    "decisions",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("time_ms", Long, nullable=False),
    Column("surface", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("candidate_hash", Text, nullable=False),
    Column("candidate_count", Integer, nullable=False),
    Column("seed", Long, nullable=False),
    Column("mode", Text, nullable=False),
    Column("context", Text),
    Column("dropped", Text),
    Column("failed", Text),
    Column("weights", Text),
    Column("seen_count", Integer),
    Column("seen_hash", Text),
)
Index("decisions_person_time_ms", decisions.c.person, decisions.c.time_ms)

decision_items = Table(
    "decision_items",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("slot", Integer, primary_key=True),
    Column("video_id", Text, nullable=False),
    Column("score", Double, nullable=False),
    Column("propensity", Double, nullable=False),
    Column("sources", Text, nullable=False),
    Column("heads", Text, nullable=False),
    Column("features", LargeBinary),  # little-endian float32, (D,)
    Column("reasons", Text),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Long, Identity(), primary_key=True),
    Column("received_ms", Long, nullable=False),
    Column("field", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_autoincrement=True,
)

consumer_offsets = Table(
    "consumer_offsets",
    metadata,
    Column("consumer", Text, primary_key=True),
    Column("log_offset", Long, nullable=False),
)
