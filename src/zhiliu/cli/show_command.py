"""``zhiliu show``: the four steps, each on its own: person, video, similarity, ranking. Needs no server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from zhiliu.cli.show.scene import Scene

command = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)

At = Annotated[
    str | None,
    typer.Option(
        "--at", help="ISO time with offset; nothing later is read (default: a minute after the newest event)."
    ),
]
Top = Annotated[int, typer.Option("--top", min=1, max=1000, help="Entries of each list.")]


@command.callback()
def root() -> None:
    """Show what is known and why: features of a person or a video, similarity, one ranking."""


@command.command()
def person(
    context: typer.Context,
    person_id: Annotated[str, typer.Argument(metavar="ID")],
    at: At = None,
    top: Top = 10,
) -> int:
    """Profile, behaviour and social features."""
    from zhiliu.cli.show.person import person_facts, person_text

    return show(context, at, lambda scene: person_facts(scene, person_id, top), person_text)


@command.command()
def video(
    context: typer.Context,
    video_id: Annotated[str, typer.Argument(metavar="ID")],
    at: At = None,
    top: Top = 10,
) -> int:
    """Metadata, text, engagement with decay."""
    from zhiliu.cli.show.video import video_facts, video_text

    return show(context, at, lambda scene: video_facts(scene, video_id, top), video_text)


@command.command()
def similarity(
    context: typer.Context,
    person: Annotated[str | None, typer.Option(help="Videos nearest to this person.")] = None,
    video: Annotated[str | None, typer.Option(help="Videos nearest to this video.")] = None,
    people: Annotated[
        Path | None,
        typer.Option(help="Of everybody in this file: one id a line, or .parquet or .csv with person_id."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="With --people: the Parquet file to write.")] = None,
    metric: Annotated[Literal["dot", "cosine"], typer.Option()] = "dot",
    model: Annotated[Literal["als", "two_tower", "text", "similar"], typer.Option()] = "als",
    top: Top = 10,
    at: At = None,
) -> int:
    """Nearest videos of people or of a video."""
    from zhiliu.cli.show.similarity import near_person, near_video, similarity_text

    if sum(given is not None for given in (person, video, people)) != 1:
        raise typer.BadParameter("give one of --person, --video, --people")
    if people is not None:
        return many(context, at, people, out, model, metric, top)
    if person is not None:
        whom = person
        return show(context, at, lambda scene: near_person(scene, whom, model, metric, top), similarity_text)
    what = video or ""
    return show(context, at, lambda scene: near_video(scene, what, model, metric, top), similarity_text)


@command.command()
def ranking(
    context: typer.Context,
    person: Annotated[str | None, typer.Option(help="Rank a page for this person.")] = None,
    replay: Annotated[
        str | None, typer.Option(metavar="REQUEST_ID", help="A page from the decision log instead.")
    ] = None,
    top: Top = 10,
    at: At = None,
) -> int:
    """One page: sources, heads, score, reasons."""
    from zhiliu.cli.show.ranking import logged, ranked, ranking_text, replayed
    from zhiliu.cli.show.scene import open_scene
    from zhiliu.cli.workspace import settings_of, store_of, tell

    if (person is None) == (replay is None):
        raise typer.BadParameter("give one of --person, --replay")
    if person is not None:
        whom = person
        return show(context, at, lambda scene: ranked(scene, whom, top), ranking_text)
    if at is not None:
        raise typer.BadParameter("--replay has its own time; leave --at out")
    settings = settings_of(context)
    with store_of(settings) as store:
        decision = logged(store, replay or "")
        facts = replayed(open_scene(settings, store, decision.time_ms), decision)
    tell(context, facts, ranking_text(facts, settings.timezone_offset_h))
    return 0


def show(
    context: typer.Context,
    at: str | None,
    facts_of: Callable[[Scene], dict[str, Any]],
    text_of: Callable[[Mapping[str, Any], float], str],
) -> int:
    """Open the workspace at a moment, gather, tell."""
    from zhiliu.cli.workspace import tell

    with opened(context, at) as scene:
        facts = facts_of(scene)
        tell(context, facts, text_of(facts, scene.settings.timezone_offset_h))
    return 0


@contextmanager
def opened(context: typer.Context, at: str | None) -> Iterator[Scene]:
    """The scene of ``--at``."""
    from zhiliu.cli.show.scene import open_scene
    from zhiliu.cli.workspace import settings_of, store_of, time_of

    at_ms = None if at is None else time_of(at, "--at")
    settings = settings_of(context)
    with store_of(settings) as store:
        yield open_scene(settings, store, at_ms)


def many(
    context: typer.Context,
    at: str | None,
    people: Path,
    out: Path | None,
    model: str,
    metric: Literal["dot", "cosine"],
    top: int,
) -> int:
    """Stream the nearest videos of many people into a file."""
    from zhiliu.cli.progress import Steps
    from zhiliu.cli.show.people import people_of, write_nearest
    from zhiliu.cli.show.text import heading
    from zhiliu.cli.workspace import tell

    if out is None:
        raise typer.BadParameter("--people needs --out FILE.parquet")
    if model == "similar":
        raise typer.BadParameter("--people needs vectors: --model als, two_tower or text")
    names = people_of(people)
    with Steps() as steps:
        steps("read the log", 0.0)
        with opened(context, at) as scene:
            steps("score", 0.0)
            facts = write_nearest(scene, names, out, model, metric, top, lambda share: steps("score", share))
            offset_h = scene.settings.timezone_offset_h
    lines = heading(facts, f"{facts['placed']} of {facts['people']} people 用户", offset_h)
    tell(context, facts, "\n".join([*lines, f"{facts['rows']} rows 行 → {facts['out']}"]))
    return 0
