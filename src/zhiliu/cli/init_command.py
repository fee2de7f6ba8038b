"""``zhiliu init``: a workspace with its settings file and an empty store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SETTINGS = """\
# Settings of this workspace. Flags and ZHILIU_* variables win over them; an unknown key is an error.
# 本工作区的设置。命令行参数与 ZHILIU_* 环境变量优先；写错的键会报错。

# timezone_offset_h = 8.0      # hours from UTC of the people served 受众所在时区
# seed = 0

[store]
# url = "postgresql://user:password@host/db"   # empty: SQLite in this folder 留空则用本目录的 SQLite

[feed]
# rank_limit = 500             # candidates ranked a request 每次排序的候选数
# diversity = 0.2              # 0 the score alone, 1 variety alone 0 只看分数，1 只看多样

[serve]
# host = "127.0.0.1"
# port = 8000
# api_keys = []                # needed on any address but loopback 非本机地址必须设置
"""


def command(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Default: --workspace.")] = None,
) -> int:
    """Make a workspace. One that is already there keeps everything it has."""
    from zhiliu.cli.workspace import settings_of, store_of, tell

    given = context.obj["workspace"]
    if folder is not None and given is not None and folder != given:
        raise typer.BadParameter(f"two folders: {folder} and --workspace {given}; name one")
    context.obj["workspace"] = folder or given
    settings = settings_of(context)
    settings.artifacts.mkdir(parents=True, exist_ok=True)
    written = settings.workspace / "zhiliu.toml"
    made = not written.exists()
    if made:
        written.write_text(SETTINGS, "utf-8")
    with store_of(settings, make=True):
        pass
    result = {
        "workspace": str(settings.workspace),
        "store": _without_password(settings.store_url),
        "made": made,
    }
    text = f"workspace 工作区: {settings.workspace}\nnext 下一步: zhiliu import kuairand data/kuairand --workspace {settings.workspace}"  # noqa: E501
    tell(context, result, text)
    return 0


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)
