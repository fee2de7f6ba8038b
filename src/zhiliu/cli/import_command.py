"""``zhiliu import``: a KuaiRand folder, or CSV, JSON lines and Parquet files of events, videos or people."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Many = list[str] | None


def command(
    context: typer.Context,
    file_format: Annotated[
        Literal["kuairand", "csv", "jsonl", "parquet"],
        typer.Argument(metavar="FORMAT", help="kuairand, csv, jsonl or parquet."),
    ],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="A KuaiRand folder, or files.")],
    kind: Annotated[
        Literal["events", "videos", "people"], typer.Option(help="What the rows of the files are.")
    ] = "events",
    columns: Annotated[Many, typer.Option("--map", help="FIELD=COLUMN, props.NAME=COLUMN.")] = None,
    constants: Annotated[Many, typer.Option("--set", help="FIELD=TEXT for every row.")] = None,
    units: Annotated[Many, typer.Option("--unit", help="FIELD=s|ms|us|iso.")] = None,
    ignore: Annotated[Many, typer.Option("--ignore", help="COLUMN to leave out.")] = None,
    map_file: Annotated[Path | None, typer.Option("--map-file", help="TOML with the same.")] = None,
    create_videos: Annotated[
        bool, typer.Option("--create-videos", help="Add videos that events name and the catalogue lacks.")
    ] = False,
    chunk_rows: Annotated[
        int, typer.Option(min=1, help="Rows in memory, and in one transaction, at a time.")
    ] = 200_000,
    strict: Annotated[bool, typer.Option("--strict", help="Write nothing when any row is bad.")] = False,
) -> int:
    """Take in a feed log, a catalogue or people. Running it again changes nothing and goes on where it stopped."""
    from zhiliu.cli.import_record import RejectedFile
    from zhiliu.cli.importing import Importer
    from zhiliu.cli.progress import Progress
    from zhiliu.cli.workspace import now_ms, settings_of, store_of, tell
    from zhiliu.events.connectors import FlagError, Mapping, open_kuairand, open_source

    start, now = time.monotonic(), now_ms()
    settings = settings_of(context)
    notes: list[str] = []
    if file_format == "kuairand":
        if columns or constants or units or ignore or map_file or len(paths) != 1:
            raise typer.BadParameter("kuairand takes one folder and no mapping")
        folder = open_kuairand(paths[0], now_ms=now, chunk_rows=chunk_rows)
        sources, notes = folder.sources, folder.notes
    else:
        try:
            mapping = (Mapping.from_file(map_file) if map_file else Mapping()).with_flags(
                columns or (), constants or (), units or (), ignore or ()
            )
            sources = [
                open_source(path, file_format, kind, mapping, now_ms=now, chunk_rows=chunk_rows)
                for path in paths
            ]  # every file is proven readable before the first is stored
        except FlagError as error:
            raise typer.BadParameter(str(error)) from None
    for note in notes:
        typer.echo(note, err=True)
    rejected = RejectedFile(settings.workspace, paths[0].stem, now)
    with store_of(settings, make=True) as store:
        importer = Importer(store, settings.workspace, rejected, Progress(), create_videos)
        summaries = importer.run(sources, strict=strict)
    counts = ("accepted", "duplicates", "merged", "rejected", "stubs")
    result: dict[str, Any] = {
        **{name: sum(getattr(s, name) for s in summaries) for name in counts},
        "seconds": round(time.monotonic() - start, 2),
        "rejected_file": str(rejected.path) if rejected.count else None,
        "notes": notes,
        "files": [asdict(summary) for summary in summaries],
    }
    tell(context, result, _table(result))
    if result["rejected"] and not result["accepted"] and not result["duplicates"]:
        typer.echo(f"zhiliu: every row was rejected; the reasons are in {rejected.path}", err=True)
        return 1
    return 0


def _table(result: dict[str, Any]) -> str:
    lines = [
        f"{s['file']} → {s['kind']}: {s['accepted']:,} accepted 已收, {s['duplicates']:,} duplicates 重复, "
        f"{s['rejected']:,} rejected 拒收"
        + (f", {s['merged']:,} merged 合并" if s["merged"] else "")
        + (f", {s['stubs']:,} videos added by id 只有编号的视频" if s["stubs"] else "")
        for s in result["files"]
    ]
    if result["rejected_file"]:
        lines.append(f"rejected rows 拒收的行: {result['rejected_file']}")
    return "\n".join([*lines, f"{result['seconds']} s"])
