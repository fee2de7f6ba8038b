"""The first plain feed page: a server-rendered shell in the reader's language; its script asks the API."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Request, Response, Router, get
from litestar.datastructures import CacheControlHeader
from litestar.params import Parameter
from litestar.static_files import create_static_files_router

from zhiliu.serve.clock import Clock

LANGUAGES = {"zh": "zh-Hans", "en": "en"}
THEMES = ("auto", "light", "dark")


def pages_router(clock: Clock) -> Router:
    """``/`` and ``/static``. Templates, strings and scripts are files of ``zhiliu/web``."""
    web = Path(str(files("zhiliu"))) / "web"
    environment = Environment(
        loader=FileSystemLoader(web / "templates"), autoescape=True, undefined=StrictUndefined
    )
    template = environment.get_template("feed.html")
    strings = {code: json.loads((web / "locale" / f"{code}.json").read_text("utf-8")) for code in LANGUAGES}

    @get("/", media_type=MediaType.HTML, include_in_schema=False)
    async def feed_page(
        request: Request[Any, Any, Any],
        person_id: Annotated[str, Parameter(max_length=256)] = "",
        lang: Annotated[str, Parameter(max_length=16)] = "",
    ) -> Response[str]:
        language = chosen_language(request, lang)
        other = "en" if language == "zh" else "zh"
        theme = request.cookies.get("zhiliu_theme", "auto")
        page = template.render(
            t=strings[language],
            lang_tag=LANGUAGES[language],
            theme=theme if theme in THEMES else "auto",
            other_tag=LANGUAGES[other],
            other_href="/?" + urlencode({"lang": other} | ({"person_id": person_id} if person_id else {})),
            person_id=person_id,
            boot={
                "lang": language,
                "person_id": person_id,
                "now_ms": clock.now_ms(),
                "strings": strings[language],
            },
        )
        answer = Response(page, media_type=MediaType.HTML, headers={"cache-control": "no-store"})
        if lang in LANGUAGES:
            answer.set_cookie("zhiliu_lang", lang, max_age=31_536_000, samesite="lax", httponly=True)
        return answer

    static = create_static_files_router(
        "/static", [web / "static"], cache_control=CacheControlHeader(no_cache=True)
    )
    return Router("/", route_handlers=[feed_page, static])


def chosen_language(request: Request[Any, Any, Any], asked: str) -> str:
    """``?lang=`` first, then the cookie, then what the browser prefers, then Chinese."""
    for wish in (asked, request.cookies.get("zhiliu_lang", "")):
        if wish in LANGUAGES:
            return wish
    for part in request.headers.get("accept-language", "").split(","):
        code = part.partition(";")[0].strip().lower().partition("-")[0]
        if code in LANGUAGES:
            return code
    return "zh"
