"""``zhiliu evaluate``: judge the workspace's model on data it has not seen."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

command = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@command.callback()
def root() -> None:
    """Judge models on data they have not seen."""


@command.command()
def ranking(
    context: typer.Context,
    impressions: Annotated[Path, typer.Option(help="Parquet or CSV in KuaiRand's columns.")],
    state: Annotated[
        Literal["frozen", "live"],
        typer.Option(
            help="frozen: nothing after the training cut is known; live: everything before each impression."
        ),
    ] = "frozen",
    artifact: Annotated[
        str | None, typer.Option(help="Version of the artifact (default: the newest).")
    ] = None,
) -> int:
    """AUC, per-user gAUC, log loss, calibration error and squared error of each head."""
    from zhiliu.artifact import open_artifact
    from zhiliu.cli.progress import Steps
    from zhiliu.cli.workspace import newest_artifact, settings_of, store_of, tell
    from zhiliu.evaluate.impressions import ImpressionsError, read_impressions, score
    from zhiliu.evaluate.ranking import judge
    from zhiliu.evaluate.tables import heads_table
    from zhiliu.train.log import TrainingLog

    settings = settings_of(context)
    version = artifact or newest_artifact(settings.artifacts)
    if version is None:
        raise ImpressionsError(f"no artifact in {settings.artifacts}; train one with: zhiliu train")
    opened = open_artifact(settings.artifacts / version)
    with (
        tempfile.TemporaryDirectory(prefix="zhiliu-") as scratch,
        store_of(settings) as store,
        Steps() as steps,
    ):
        steps("snapshot", 0.0)
        store.snapshot(Path(scratch) / "snapshot")
        steps("load", 0.0)
        log = TrainingLog.load(Path(scratch) / "snapshot", timezone_offset_h=settings.timezone_offset_h)
        rows = read_impressions(impressions, log)
        heads = score(opened, log, rows, state, lambda share: steps("score", share))
        steps("bootstrap", 0.0)
        reports = judge(rows.rows(), heads)
    people = int(rows.group.max()) + 1
    learned = int((rows.time_ms < int(opened.manifest["until_ms"])).sum())
    if learned:
        typer.echo(
            f"{learned} rows are from before the training cut: the model has learned from such days", err=True
        )
    result = {
        "model": version,
        "state": state,
        "rows": len(rows.video),
        "people": people,
        "left_out": rows.left_out,
        "before_cut": learned,
        "heads": {head: report.as_dict() for head, report in reports.items()},
    }
    title = f"{version}, {len(rows.video)} impressions of {people} people, {state} state"
    tell(context, result, heads_table(title, {"model": reports}))
    return 0
