"""KuaiRand videos and users → catalogue entries and profiles."""

from __future__ import annotations

import polars as pl

from zhiliu.events.connectors.casting import Texts
from zhiliu.events.connectors.checks import check
from zhiliu.events.connectors.fields import FIELDS, Kind
from zhiliu.events.connectors.mapping import Plan
from zhiliu.events.connectors.source import Checked

BEIJING_MIDNIGHT = "T00:00:00+08:00"
USERS_KNOWN_MS = 1_650_729_600_000
"""2022-04-24 00:00 in Beijing: ``register_days`` count back from here."""
DAY_MS = 86_400_000
VIDEO_COLUMNS = ("video_id", "author_id", "video_type", "upload_dt", "upload_type", "visible_status",
                 "video_duration", "server_width", "server_height", "music_id", "music_type", "tag")  # fmt: skip
VIDEO_PROPS = {"upload_type": "upload_type", "music_id": "music_id", "music_type": "music_type",
               "width": "server_width", "height": "server_height"}  # fmt: skip
ONE_HOT = tuple(f"onehot_feat{i}" for i in range(18))
USER_PROPS = (*ONE_HOT, "is_video_author", "is_live_streamer", "is_lowactive_period")
USER_COLUMNS = ("user_id", "user_active_degree", "follow_user_num", "fans_user_num", "friend_user_num",
                "register_days", *USER_PROPS)  # fmt: skip
USER_UNUSED = ("follow_user_num_range", "fans_user_num_range", "friend_user_num_range", "register_days_range")


def _plan(kind: Kind, props: dict[str, str], factor: dict[str, float]) -> Plan:
    given = {field: f"to:{field}" for field in FIELDS[kind] if field != "props"}
    return Plan(kind, given, props, {}, factor)


VIDEOS = _plan("videos", VIDEO_PROPS, {"published_ms": 0.0})
PEOPLE = _plan("people", {name: name for name in USER_PROPS}, {})


def videos(raw: pl.DataFrame, name: str, texts: Texts, durations: pl.DataFrame, now_ms: int) -> Checked:
    """Video rows → catalogue entries. ``durations``: (video_id, modal_ms) for those without their own."""
    known = raw.with_columns(pl.col("video_id").cast(pl.String).alias("key")).join(
        durations, left_on="key", right_on="video_id", how="left", maintain_order="left"
    )
    absent = [f for f in FIELDS["videos"] if f in {"title", "description", "language", "status"}]
    given = known.with_columns(
        pl.col("video_id").alias("to:video_id"),
        pl.col("author_id").alias("to:author_id"),
        pl.col("tag").alias("to:tags"),
        pl.coalesce("video_duration", "modal_ms").alias("to:duration_ms"),
        pl.concat_str("upload_dt", pl.lit(BEIJING_MIDNIGHT)).alias("to:published_ms"),
        pl.col("video_type").cast(pl.String).str.to_lowercase().alias("to:kind"),
        *(pl.lit(None).alias(f"to:{field}") for field in absent),
    )
    frame, rejected = check(given, VIDEOS, name, now_ms, texts)
    return Checked(frame.with_columns(author_id=author_key(pl.col("author_id"))), rejected)


def author_key(author: pl.Expr) -> pl.Expr:
    """Author ids as text with a mark: author 7 of KuaiRand is not user 7, and must not act as that person."""
    return pl.concat_str(pl.lit("a:"), author.cast(pl.String))


def people(raw: pl.DataFrame, name: str, texts: Texts, now_ms: int) -> Checked:
    """User rows → profiles."""
    days = pl.col("register_days").cast(pl.Int64, strict=False)
    absent = ("age_band", "gender", "occupation", "language")
    given = raw.with_columns(
        pl.col("user_id").alias("to:person_id"),
        pl.col("user_active_degree").alias("to:activity"),
        pl.col("follow_user_num").alias("to:follow_count"),
        pl.col("fans_user_num").alias("to:fan_count"),
        pl.col("friend_user_num").alias("to:friend_count"),
        (USERS_KNOWN_MS - days * DAY_MS).alias("to:registered_ms"),
        *(pl.lit(None).alias(f"to:{field}") for field in absent),
    )
    return Checked(*check(given, PEOPLE, name, now_ms, texts))
