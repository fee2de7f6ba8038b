"""``zhiliu demo``: a real feed log → models → an honest table on the future days → the feed in a browser.

Safe to run twice: what is imported or trained already is used again.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from zhiliu.artifact import Artifact
    from zhiliu.cli.progress import Steps
    from zhiliu.settings import Settings
    from zhiliu.train.log import TrainingLog

UNTIL_MS = 1_651_334_400_000
"""1 May 2022, 00:00 in Beijing: models learn from before, the table is about 1–8 May."""
BASELINES = ("concat", "cf")


def command(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="KuaiRand folder.")] = Path("data/kuairand"),
    then: Annotated[
        Literal["serve", "headless"], typer.Option(help="headless: stop after the table.")
    ] = "serve",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
) -> int:
    """Import, train, judge on the future days, serve."""
    from zhiliu.cli.progress import Steps
    from zhiliu.cli.workspace import settings_of, tell

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in zhiliu train: idle threads must not spin
    settings = settings_of(context)
    began = time.monotonic()
    take_in(settings, data)
    with tempfile.TemporaryDirectory(prefix="zhiliu-") as scratch, Steps() as steps:
        report = learn_and_judge(settings, data, Path(scratch), steps)
    report["seconds"] = round(time.monotonic() - began, 1)
    (settings.workspace / "demo-report.json").write_text(
        json.dumps(report, ensure_ascii=False, indent=1), "utf-8"
    )
    tell(
        context,
        report,
        f"{report.pop('text')}\n\n{report['seconds']} s; figures in {settings.workspace}/demo-report.json",
    )
    if then == "serve":
        open_feed(settings, int(report["last_event_ms"]), port)
    return 0


def take_in(settings: Settings, data: Path) -> None:
    """Import the log; a second time it finds everything there."""
    from zhiliu.cli.import_record import RejectedFile
    from zhiliu.cli.importing import Importer
    from zhiliu.cli.progress import Progress
    from zhiliu.cli.workspace import now_ms, store_of
    from zhiliu.events.connectors import open_kuairand

    now = now_ms()
    folder = open_kuairand(data, now_ms=now)
    with store_of(settings, make=True) as store:
        rejected = RejectedFile(settings.workspace, data.stem, now)
        Importer(store, settings.workspace, rejected, Progress()).run(folder.sources)


def learn_and_judge(settings: Settings, data: Path, scratch: Path, steps: Steps) -> dict[str, Any]:
    """Train what is missing and compare everything on the days after the cut."""
    from zhiliu.cli.workspace import store_of
    from zhiliu.labels.interactions import load_events
    from zhiliu.train.log import TrainingLog

    def mark(ranker: str) -> str:
        return mark_of(ranker, scratch / "snapshot", UNTIL_MS, settings.timezone_offset_h)

    steps("snapshot", 0.0)
    with store_of(settings) as store:
        snapshot = store.snapshot(scratch / "snapshot")
    steps("load the past", 0.0)
    zone = settings.timezone_offset_h
    events = load_events(scratch / "snapshot")
    past = TrainingLog.load(scratch / "snapshot", until_ms=UNTIL_MS, timezone_offset_h=zone, events=events)
    ours = trained("multitask", settings.artifacts, scratch, past, mark("multitask"), steps)
    baselines = {
        name: trained(name, settings.workspace / "baselines" / name, scratch, past, mark(name), steps)
        for name in BASELINES
    }
    retrieval, found = judge_retrieval(past, scratch, ours, steps)
    del past
    steps("load the future", 0.0)
    whole = TrainingLog.load(scratch / "snapshot", timezone_offset_h=zone, events=events)
    report = judge_rankers(data, scratch, whole, ours, baselines, steps)
    report["retrieval"] = retrieval
    report["text"] += "\n\n" + found
    report["last_event_ms"] = int(snapshot["max_ms"])
    report["model"] = ours.version
    return report


def mark_of(ranker: str, snapshot: Path, until_ms: int, timezone_offset_h: float) -> str:
    """What an artifact was made of: the events before the cut, and how it was to learn from them.

    What happens after the cut, such as a like in the demo's own page, does not count.
    """
    import hashlib

    import polars as pl

    before = pl.scan_parquet(snapshot / "events.parquet").filter(pl.col("time") < until_ms)
    events = before.select(pl.len(), pl.col("offset").max()).collect().row(0)
    made_of = (until_ms, events, timezone_offset_h, configuration(ranker))
    return hashlib.blake2b(repr(made_of).encode(), digest_size=8).hexdigest()


def configuration(ranker: str) -> tuple[object, ...]:
    """The defaults of everything that is trained with this ranker."""
    from dataclasses import MISSING, fields

    from zhiliu.features.builder import CONTEXT, SEQUENCE, numeric_names
    from zhiliu.models.multitask import MultitaskConfig
    from zhiliu.train.baselines import LOOPS
    from zhiliu.train.bundle import RETRIEVAL, recipes
    from zhiliu.train.multitask import RankerConfig

    if ranker in LOOPS:
        return (ranker, LOOPS[ranker])
    network = [(k.name, None if k.default is MISSING else k.default) for k in fields(MultitaskConfig)]
    retrieval = [repr(recipes()[name].load()()) for name in RETRIEVAL]
    return (ranker, numeric_names(), SEQUENCE, CONTEXT, RankerConfig(), network, retrieval)


def trained(ranker: str, root: Path, scratch: Path, past: TrainingLog, mark: str, steps: Steps) -> Artifact:
    """The newest artifact for this very log and cut, or a new one."""
    from zhiliu.artifact import ArtifactError, open_artifact, versions
    from zhiliu.cli.workspace import now_ms
    from zhiliu.train.bundle import RETRIEVAL, Order, train
    from zhiliu.train.trackers import open_tracker

    for path in versions(root):
        try:
            artifact = open_artifact(path)
        except ArtifactError:
            continue
        if artifact.manifest.get("mark") == mark and artifact.manifest["recipe"] == ranker:
            steps(f"{ranker}: trained before", 1.0)
            return artifact
    created = now_ms()
    tracker = open_tracker("tensorboard", root.parent / "runs" / str(created))
    try:
        return train(
            scratch / "snapshot",
            root,
            Order(
                ranker=ranker,
                retrieval=RETRIEVAL if ranker == "multitask" else (),
                until_ms=UNTIL_MS,
                mark=mark,
            ),
            created_ms=created,
            tracker=tracker,
            progress=steps,
            log=past,
        )
    finally:
        tracker.close()


def judge_rankers(
    data: Path,
    scratch: Path,
    whole: TrainingLog,
    ours: Artifact,
    baselines: Mapping[str, Artifact],
    steps: Steps,
) -> dict[str, Any]:
    """Every head of every model on the impressions after the cut, all rows of the file, twins included."""
    import polars as pl

    from zhiliu.evaluate.impressions import State, read_impressions
    from zhiliu.evaluate.leaderboard import judge_baselines, leaderboard
    from zhiliu.evaluate.tables import differences_table, heads_table

    future = scratch / "future.parquet"
    pl.read_parquet(data / "impressions.parquet").filter(pl.col("time_ms") >= UNTIL_MS).write_parquet(future)
    impressions = read_impressions(future, whole)
    steps("judge baselines", 0.0)
    simple = judge_baselines(whole, impressions, baselines)
    texts: list[str] = []
    boards: dict[str, Any] = {}
    explained: dict[State, str] = {
        "frozen": "nothing after 30 April is known, not even counts",
        "live": "as a running server: everything before each impression is known",
    }
    for state, meaning in explained.items():
        tell_judge = partial(steps, f"judge, {state}")
        board = leaderboard(whole, impressions, ours, simple, state, tell_judge)
        boards[state] = board.as_dict()
        title = f"1–8 May, {board.rows} impressions of {board.people} people, {state} state: {meaning}"
        texts.append(heads_table(title, board.reports))
        texts.append(
            differences_table("multitask minus LightGBM (same features, same rows), paired", board.against)
        )
    return {"ranking": boards, "text": "\n\n".join(texts)}


def judge_retrieval(
    past: TrainingLog, scratch: Path, ours: Artifact, steps: Steps
) -> tuple[dict[str, Any], str]:
    """Recall of each source on the same days, and as a table."""
    from zhiliu.evaluate.retrieval import TrainedWorld, evaluate_retrieval, trained_sources
    from zhiliu.evaluate.tables import aligned

    sources = trained_sources(TrainedWorld.of(past.videos, ours))
    report = evaluate_retrieval(scratch / "snapshot", past, sources, cut_ms=UNTIL_MS, progress=steps)
    title = f"1–8 May, {report.positives} new long views of {report.people} people, {report.videos} videos, by source"
    return report.as_dict(), title + "\n" + aligned(report.lines())


def open_feed(settings: Settings, last_event_ms: int, port: int) -> None:
    """Serve as if it were just after the last event: the people of the log are still in their evening."""
    from zhiliu.serve.run import serve

    section = settings.serve.model_copy(update={"port": port, "start_ms": last_event_ms + 60_000})
    serve(
        settings.model_copy(update={"serve": section}), lambda address: typer.echo(f"Zhiliu 知流: {address}")
    )
