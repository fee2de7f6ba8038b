"""What each reason code says, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from zhiliu.types import Query

LANGUAGES: Final = ("zh", "en")
TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "following": {"zh": "你关注了 {author}", "en": "You follow {author}"},
    "followed_liked": {"zh": "你关注的人喜欢", "en": "Liked by people you follow"},
    "similar_to": {"zh": "因为你看过《{title}》", "en": "Because you watched “{title}”"},
    "similar_to_untitled": {"zh": "与你看过的一个视频相似", "en": "Similar to a video you watched"},
    "topic": {
        "zh": "你最近看得久的视频里，{share}% 讲“{topic}”",
        "en": "{share}% of what you lately watched long is about “{topic}”",
    },
    "trending": {"zh": "最近很多人在看", "en": "Many people are watching this now"},
    "popular": {"zh": "很多人看得久", "en": "Many people watched this long"},
    "new": {"zh": "这里较新的视频", "en": "Among the newest here"},
    "for_you": {"zh": "为你推荐", "en": "Picked for you"},
}
"""Code → language → text. A code ending in ``_untitled`` is told to clients without the ending."""


def language_of(query: Query) -> str:
    """``zh`` or ``en``: as the request asks, else as the profile says, else Chinese."""
    for wish in (query.context.get("language"), query.profile.language if query.profile else None):
        if isinstance(wish, str):
            code = wish.lower().replace("_", "-").partition("-")[0]
            if code in LANGUAGES:
                return code
    return LANGUAGES[0]
