"""``zhiliu export``: a training snapshot in Parquet."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer


def command(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the snapshot.")],
    until: Annotated[
        str | None,
        typer.Option(help="Only events before this time, as 2022-05-01 or 2022-05-01T00:00+08:00."),
    ] = None,
) -> int:
    """Write events, videos and people to Parquet files with a manifest."""
    from zhiliu.cli.workspace import settings_of, store_of, tell

    until_ms = None if until is None else as_ms(until)
    settings = settings_of(context)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise typer.BadParameter(f"{out} is there already; name a new folder")
    with store_of(settings) as store:
        manifest = store.snapshot(out, until_ms)
    text = (
        f"snapshot 快照: {out}\nevents 事件 {manifest['rows']:,}, videos 视频 {manifest['videos']:,}, "
        f"people 用户 {manifest['people']:,}"
    )
    tell(context, {"out": str(out), **manifest}, text)
    return 0


def as_ms(text: str) -> int:
    """ISO 8601 → ms UTC; without an offset it is UTC.

    Raises:
        BadParameter: not ISO 8601.

    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"--until {text!r} is not ISO 8601; write 2022-05-01 or 2022-05-01T00:00+08:00"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
