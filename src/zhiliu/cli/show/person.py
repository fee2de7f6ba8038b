"""``zhiliu show person``: profile, behaviour, social, as the models read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zhiliu.cli.show.scene import Scene, surface_name
from zhiliu.cli.show.text import heading, seconds, section, video, when
from zhiliu.features import profile
from zhiliu.features.context import DAY_MS, surface_code
from zhiliu.features.history import Ask, Window, outcomes, pair_columns, person_columns
from zhiliu.features.interest import known_labels
from zhiliu.features.profile import ProfileVocabulary
from zhiliu.features.social import Heard, decayed
from zhiliu.sources.placement import Placement, past_of, recency
from zhiliu.types import HEADS, EventType, Person, Query

COUNTED = 10_000
"""Newest events of the person that activity is counted over."""
SHARES = (EventType.SHARE_CREATE, EventType.SHARE_OPEN, EventType.SHARE_COMPLETE)
PERIODS = {"day": 1, "week": 7, "month": 30, "all": 1_000_000}


def person_facts(scene: Scene, person: str, top: int) -> dict[str, Any]:
    """Everything that is known of a person at this moment."""
    query = scene.query(person)
    if not len(query.history):
        scene.notes.append(f"{person} has no history 没有历史: the feed starts from what others watch")
    if query.profile is None:
        scene.notes.append(f"{person} has no profile 没有资料")
    return {
        "person": person,
        **scene.head(),
        "profile": profile_facts(scene, query),
        "behaviour": {
            "recent": recent(scene, query, top),
            "likes": done(scene, person, (EventType.LIKE,), top),
            "shares": done(scene, person, SHARES, top),
            "topics": topics(scene, query, top),
            "activity": activity(scene, person),
            "features": behaviour_features(scene, query),
        },
        "social": social(scene, query, top),
    }


def profile_facts(scene: Scene, query: Query) -> dict[str, Any]:
    """Each category with its code in the model, each count with its logarithm."""
    artifact = scene.world.artifact
    ranker = artifact.json("ranker") if artifact is not None and artifact.has("ranker.json") else {}
    vocabulary = ProfileVocabulary(ranker.get("profile", {}))
    codes = dict(zip(vocabulary.fields, vocabulary.encode(query.profile).tolist(), strict=True))
    sizes = dict(zip(vocabulary.fields, vocabulary.sizes(), strict=True))
    values = profile.fields_of(query.profile)
    fields = [
        {"field": name, "value": values.get(name, ""), "code": codes.get(name), "codes": sizes.get(name)}
        for name in dict.fromkeys([*values, *vocabulary.fields])
    ]
    told = query.profile or Person(person_id=query.person)
    days = (query.now_ms - told.registered_ms) / DAY_MS if told.registered_ms > 0 else None
    raw = {name: getattr(told, name) for name in profile.NUMERIC[:-1]} | {"registered_days": days}
    encoded = dict(zip(profile.NUMERIC, profile.numeric(query.profile, query.now_ms).tolist(), strict=True))
    return {
        "known": query.profile is not None,
        "fields": fields,
        "unknown": [f["field"] for f in fields if f["value"] == "" or f["code"] == 0],
        "counts": raw,
        "numeric": encoded,
    }


def recent(scene: Scene, query: Query, top: int) -> list[dict[str, Any]]:
    """The newest impressions with what is known of their outcome, newest first."""
    history = query.history
    labels = known_labels(history, query.now_ms)
    told = []
    for i in range(len(history) - 1, max(-1, len(history) - 1 - top), -1):
        row = int(history.video[i])
        duration_ms = int(scene.world.videos.duration_ms[row])
        watched = history.watch_known_ms[i] < query.now_ms
        watch_ms = float(history.watch_ms[i]) if watched else None
        ratio = None if watch_ms is None or duration_ms <= 0 else round(watch_ms / duration_ms, 4)
        told.append(
            scene.named(row)
            | {
                "time_ms": int(history.time_ms[i]),
                "surface": surface_name(int(history.surface[i])),
                "watch_ms": watch_ms,
                "duration_ms": duration_ms,
                "watch_ratio": ratio,
                "outcomes": [head for head, true in zip(HEADS, labels[i], strict=True) if true],
            }
        )
    return told


def done(scene: Scene, person: str, types: Sequence[EventType], top: int) -> list[dict[str, Any]]:
    """The newest events of these types, newest first."""
    told = []
    for stored in reversed(scene.store.events.history(person, scene.at_ms, top, types)):
        row = scene.world.videos.row_of.get(stored.event.video_id or "")
        named = (
            {"video_id": stored.event.video_id, "title": "", "topic": ""} if row is None else scene.named(row)
        )
        told.append(named | {"time_ms": stored.event.time, "type": stored.event.type.value})
    return told


def topics(scene: Scene, query: Query, top: int) -> list[dict[str, Any]]:
    """Topics of the past, the dearest first.

    ``affinity``: share of all interest, halving each week. ``lift``: long views beyond what was to be expected of
    these videos, drawn to the person's own mean: the feature ``same_topic_long_view``.
    """
    videos, everything = scene.world.videos, Placement.same(len(scene.world.videos))
    rows, interest, labels = past_of(query, everything)
    weight = interest * recency(query, everything)
    topic = videos.tag[rows, 0]
    codes, first = np.unique(topic, return_index=True)
    if not len(codes):
        return []
    ask, window, seen = asked(scene, query, rows[first].astype(np.int32))
    lift = pair_columns(ask, window, seen, videos)["same_topic_long_view"]
    whole = max(float(weight.sum()), 1e-9)
    told = [
        {
            "topic": videos.tags.names[code],
            "affinity": round(float(weight[topic == code].sum()) / whole, 4),
            "rows": int((topic == code).sum()),
            "long_views": int(labels[topic == code, HEADS.index("long_view")].sum()),
            "lift": round(float(lift[i]), 4),
        }
        for i, code in enumerate(codes.tolist())
        if code > 0
    ]
    return sorted(told, key=lambda one: -one["affinity"])[:top]


def activity(scene: Scene, person: str) -> dict[str, Any]:
    """How many events of each type in the last day, week, month, and among the newest COUNTED."""
    events = [stored.event for stored in scene.store.events.history(person, scene.at_ms, COUNTED)]
    counts = {
        name: dict(Counter(e.type.value for e in events if e.time >= scene.at_ms - days * DAY_MS))
        for name, days in PERIODS.items()
    }
    last_ms = events[-1].time if events else None
    return {"counts": counts, "last_ms": last_ms, "counted_at_most": COUNTED}


def behaviour_features(scene: Scene, query: Query) -> dict[str, float]:
    """What the ranker reads of the past whatever the candidate is."""
    ask, window, seen = asked(scene, query, np.zeros(0, np.int32))
    columns = person_columns(ask, window, seen, scene.settings.timezone_offset_h)
    return {name: round(float(column[0]), 5) for name, column in columns.items()}


def asked(scene: Scene, query: Query, video: Any) -> tuple[Ask, Window, Any]:
    """The past seen from now, in the length the ranker reads."""
    artifact = scene.world.artifact
    ranker = artifact.json("ranker") if artifact is not None and artifact.has("ranker.json") else {}
    now = np.array([query.now_ms], np.int64)
    ask = Ask(video, np.array([surface_code(query.surface)], np.int32), now, now)
    window = Window.of(query.history, query.now_ms, ranker.get("window", scene.settings.feed.history))
    return ask, window, outcomes(window, now, scene.world.videos, scene.world.live.counters)


def social(scene: Scene, query: Query, top: int) -> dict[str, Any]:
    """Counts of the profile, creators followed and hidden here."""
    videos = scene.world.videos
    told = query.profile or Person(person_id=query.person)
    followed = [
        {"author_id": author, "videos": int((videos.author == videos.authors.code_of.get(author, -1)).sum())}
        for author in query.followed[:top]
    ]
    return {
        "follow_count": told.follow_count,
        "fan_count": told.fan_count,
        "friend_count": told.friend_count,
        "followed": len(query.followed),
        "followed_authors": followed,
        "followed_likes": heard(scene, query, top),
        "hidden_authors": list(query.hidden_authors),
        "hidden_videos": [videos.ids[row] for row in query.hidden.tolist()],
    }


def heard(scene: Scene, query: Query, top: int) -> list[dict[str, Any]]:
    """The newest likes of followed people, each with its weight of now."""
    likes = query.followed_likes
    weights = decayed(Heard.of(likes, query.now_ms), np.array([query.now_ms]))[0]
    return [
        scene.named(row) | {"person": who, "time_ms": time_ms, "weight": round(weight, 4)}
        for row, who, time_ms, weight in zip(
            likes.video.tolist()[:top], likes.people, likes.time_ms.tolist(), weights.tolist(), strict=False
        )
    ]


# -- for people --------------------------------------------------------------------------------------------


def person_text(facts: Mapping[str, Any], offset_h: float) -> str:
    """The same, to read."""
    lines = heading(facts, f"person 用户 {facts['person']}", offset_h)
    lines += profile_lines(facts["profile"])
    lines += behaviour_lines(facts["behaviour"], offset_h)
    return "\n".join(lines + social_lines(facts["social"], offset_h))


def profile_lines(told: Mapping[str, Any]) -> list[str]:
    """Step 1: who it is."""
    fields = [[f["field"], f["value"] or "unknown 未知", encoding(f)] for f in told["fields"]]
    counts = [[name, told["counts"][name], value] for name, value in told["numeric"].items()]
    return [
        *section(
            "basic profile 基本画像: a code is a place in a one-hot vector 编码即独热位置",
            fields,
        ),
        *section("counts, and log(1 + x) for the model 数量与取对数后的模型输入", counts),
    ]


def behaviour_lines(told: Mapping[str, Any], offset_h: float) -> list[str]:
    """Step 2: what was done."""
    recent = [
        [
            when(one["time_ms"], offset_h),
            video(one),
            one["surface"],
            f"{seconds(one['watch_ms'])} of {seconds(one['duration_ms'])}",
            one["watch_ratio"],
            " ".join(one["outcomes"]),
        ]
        for one in told["recent"]
    ]
    acts = {
        name: [[when(one["time_ms"], offset_h), video(one), one["type"]] for one in told[name]]
        for name in ("likes", "shares")
    }
    topics = [
        [
            one["topic"],
            f"{one['affinity']:.1%}",
            f"{one['long_views']} long of {one['rows']}",
            f"lift {one['lift']:+.3f}",
        ]
        for one in told["topics"]
    ]
    active = [
        [period, ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())) or "nothing 无"]
        for period, counts in told["activity"]["counts"].items()
    ]
    return [
        *section("recent watches 最近观看", recent),
        *section("likes 点赞", acts["likes"]),
        *section("shares 分享", acts["shares"]),
        *section("topics 主题: affinity halves each week 兴趣每周减半", topics),
        *section("activity 活跃度", active),
        *section("behaviour as the ranker reads it 排序模型读到的行为", told["features"].items()),
    ]


def social_lines(told: Mapping[str, Any], offset_h: float) -> list[str]:
    """Step 3: with whom."""
    counts = ("follow_count", "fan_count", "friend_count", "followed")
    followed = [[one["author_id"], f"{one['videos']} videos"] for one in told["followed_authors"]]
    likes = [
        [when(one["time_ms"], offset_h), one["person"], video(one), f"weight {one['weight']:.3f}"]
        for one in told["followed_likes"]
    ]
    return [
        *section("social 社交", [[name, told[name]] for name in counts]),
        *section("followed creators 关注的作者", followed),
        *section("likes of followed people 关注的人最近点赞", likes),
    ]


def encoding(field: Mapping[str, Any]) -> str:
    """How the model takes a field in."""
    if field["code"] is None:
        return "not used by the model 模型未用"
    unknown = ", unknown to the model 模型未知" if field["code"] == 0 else ""
    return f"code {field['code']} of {field['codes']}{unknown}"
