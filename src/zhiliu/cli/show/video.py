"""``zhiliu show video``: metadata, text features, engagement with decay, as the models read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zhiliu.cli.show.scene import Scene
from zhiliu.cli.show.text import heading, seconds, section, when
from zhiliu.features.builder import LADDER, rate_columns
from zhiliu.features.context import surface_code
from zhiliu.features.counters import HALF_LIFE_MS, STATS, keys_of
from zhiliu.features.history import Ask
from zhiliu.features.text import TextModel, language_of, text_of, tf_idf
from zhiliu.features.video import BUCKET_EDGES_S, duration_bucket, fresh_days
from zhiliu.types import HEADS, Surface, Video

TEXT_FILE = "text_model.json"


def video_facts(scene: Scene, video_id: str, top: int) -> dict[str, Any]:
    """Everything that is known of a video at this moment.

    Raises:
        ShowError: there is no such video.

    """
    row = scene.row(video_id)
    [(_, video)] = scene.store.catalog.rows(row - 1, 1)
    return {
        "video_id": video_id,
        **scene.head(),
        "metadata": metadata(scene, row, video),
        "text": text_features(scene, row, video, top),
        "engagement": engagement(scene, row),
    }


def metadata(scene: Scene, row: int, video: Video) -> dict[str, Any]:
    """What the catalogue says, with the derived features beside it."""
    videos = scene.world.videos
    bucket = int(duration_bucket(videos.duration_ms[row : row + 1])[0])
    edges = [0.0, *BUCKET_EDGES_S.tolist(), None]
    now, published = np.array([scene.at_ms]), np.array([video.published_ms])
    return {
        "title": video.title,
        "description": video.description,
        "tags": [
            {"tag": tag, "videos": int((videos.tag == videos.tags.code_of.get(tag, -1)).any(1).sum())}
            for tag in video.tags
        ],
        "author": {"author_id": video.author_id, "videos": int((videos.author == videos.author[row]).sum())},
        "duration_ms": video.duration_ms,
        "duration_bucket": {"code": bucket, "from_s": edges[bucket], "to_s": edges[bucket + 1]},
        "published_ms": video.published_ms,
        "fresh_days": round(float(fresh_days(now, published)[0]), 3),
        "language": video.language,
        "language_of_text": language_of(video.language, plain(video)),
        "kind": video.kind,
        "status": video.status,
    }


def text_features(scene: Scene, row: int, video: Video, top: int) -> dict[str, Any] | None:
    """The heaviest words of title, description and tags and the vector they make; None without a text model."""
    artifact = scene.world.artifact
    if artifact is None or not artifact.has(TEXT_FILE):
        if artifact is not None:
            scene.notes.append("the model has no text part 模型没有文本部分; train with --retrieval text")
        return None
    model = TextModel.load(artifact.path)
    words = text_of(video.title, video.description, video.tags)
    language = language_of(video.language, plain(video))
    weights = tf_idf([words], model.words, model.idf).tocoo()
    name = list(model.words)
    terms = sorted(zip(weights.data.tolist(), weights.col.tolist(), strict=True), reverse=True)
    vector = model.transform([words], [language])[0]
    position = int(scene.world.artifact_pos[row])
    stored = artifact.array("text_video")[position] if position >= 0 else None
    return {
        "words": len(words),
        "terms": [{"term": name[column], "weight": round(weight, 4)} for weight, column in terms[:top]],
        "unknown": sorted({word for word in words if word not in model.words})[:top],
        "width": model.width,
        "norm": round(float(np.linalg.norm(vector)), 6),
        "cosine_with_trained": None if stored is None else round(float(stored @ vector), 6),
    }


def plain(video: Video) -> str:
    """Title, description and tags in one line, as training reads them."""
    return " ".join(filter(None, [video.title, video.description, *video.tags]))


def engagement(scene: Scene, row: int) -> dict[str, Any]:
    """Decayed counts at each step of the ladder, and the rates that lean on them."""
    world, now = scene.world, np.array([scene.at_ms])
    video, surface = np.array([row], np.int32), np.array([surface_code(Surface.FOR_YOU)], np.int32)
    counts = {}
    for kind in ("all", *(kind for kind, _ in LADDER)):
        sums = world.live.counters.read(kind, keys_of(kind, world.videos, video, surface), now)[0]
        counts[kind] = {stat: round(float(value), 3) for stat, value in zip(STATS, sums, strict=True)}
    columns = rate_columns(Ask(video, surface, now, now), world.videos, world.live.counters)
    rates = {
        head: {
            kind: round(float(columns[f"{kind}_{head}"][0]), 5)
            for kind, _ in LADDER
            if f"{kind}_{head}" in columns
        }
        for head in (*HEADS, "ratio")
    }
    return {
        "half_life_days": HALF_LIFE_MS / 86_400_000,
        "ladder": dict(LADDER),
        "counts": counts,
        "rates": rates,
        "events_an_hour": round(float(world.live.heat()[row]), 4),
    }


# -- for people --------------------------------------------------------------------------------------------


def video_text(facts: Mapping[str, Any], offset_h: float) -> str:
    """The same, to read."""
    told, words, use = facts["metadata"], facts["text"], facts["engagement"]
    bucket = told["duration_bucket"]
    lines = heading(facts, f"video 视频 {facts['video_id']}", offset_h)
    lines += section("metadata 元数据", [
        ["title 标题", told["title"] or "none 无"],
        ["tags 标签", ", ".join(f"{t['tag']} ({t['videos']} videos)" for t in told["tags"]) or "none 无"],
        ["author 作者", f"{told['author']['author_id']} ({told['author']['videos']} videos)"],
        ["duration 时长", f"{seconds(told['duration_ms'])}, bucket {bucket['code']}: {between(bucket)}"],
        ["published 发布", when(told["published_ms"], offset_h) if told["published_ms"] else "unknown 未知"],
        ["freshness 新鲜度", f"{told['fresh_days']:.1f} days (at most 7)"],
        ["language 语言", f"{told['language']} → {told['language_of_text']}"],
        ["kind 类型", told["kind"]],
        ["status 状态", told["status"]],
    ])  # fmt: skip
    if words is None:
        lines += section("text 文本", [["not there: the model has no text part 没有文本模型"]])
    else:
        lines += section("text 文本: TF-IDF", [[t["term"], t["weight"]] for t in words["terms"]])
        lines += (
            [f"  not in the vocabulary 词表外: {', '.join(words['unknown'])}"] if words["unknown"] else []
        )
        lines.append(f"  vector 向量: {words['width']} numbers, norm {words['norm']:.3f}")
    steps = list(use["ladder"])
    lines += section(f"engagement 互动, halves every {use['half_life_days']:.0f} days 每 14 天减半", [
        ["decayed counts 衰减计数", *use["counts"]],
        *([stat, *(f"{counts[stat]:.1f}" for counts in use["counts"].values())] for stat in STATS),
    ])  # fmt: skip
    lines += section("smoothed rates 平滑比率: length 时长 → topic 主题 → author 作者 → video 视频", [
        ["", *steps], *([head, *(rate.get(step) for step in steps)] for head, rate in use["rates"].items()),
    ])  # fmt: skip
    lines += ["", f"trending 热度: {use['events_an_hour']:.2f} weighted events an hour"]
    return "\n".join(lines)


def between(bucket: Mapping[str, Any]) -> str:
    """The bounds of a bucket."""
    if bucket["code"] == 0:
        return "unknown 未知"
    return f"from {bucket['from_s']:g} s" + ("" if bucket["to_s"] is None else f" to {bucket['to_s']:g} s")
