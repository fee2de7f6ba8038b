"""Where learning curves go: TensorBoard files by default, Weights & Biases or MLflow when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from zhiliu.train.errors import TrainError, UnknownNameError


class Tracker(Protocol):
    """Takes scalars."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Scalars of one step."""
        ...

    def close(self) -> None:
        """Flush."""
        ...


class TensorBoard:
    """Event files under ``folder``; look with ``tensorboard --logdir``."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(str(folder))

    def log(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class Wandb:
    """Weights & Biases, when the ``wandb`` package is there."""

    def __init__(self, folder: Path) -> None:
        try:
            import wandb
        except ImportError:
            raise TrainError("--tracker wandb needs the wandb package: pip install wandb") from None
        self.run: Any = wandb.init(project="zhiliu", dir=str(folder), name=folder.name)

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        self.run.finish()


class Mlflow:
    """MLflow, when the ``mlflow`` package is there."""

    def __init__(self, folder: Path) -> None:
        try:
            import mlflow
        except ImportError:
            raise TrainError("--tracker mlflow needs the mlflow package: pip install mlflow") from None
        self.mlflow: Any = mlflow
        mlflow.set_experiment("zhiliu")
        mlflow.start_run(run_name=folder.name)

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        self.mlflow.end_run()


TRACKERS: Mapping[str, type[TensorBoard] | type[Wandb] | type[Mlflow]] = {
    "tensorboard": TensorBoard,
    "wandb": Wandb,
    "mlflow": Mlflow,
}


def open_tracker(name: str, folder: Path) -> Tracker:
    """The tracker called ``name``.

    Raises:
        TrainError: unknown, or its package is not installed.

    """
    check_tracker(name)
    return TRACKERS[name](folder)


def check_tracker(name: str) -> None:
    """Raises UnknownNameError for a name that is not in TRACKERS."""
    if name not in TRACKERS:
        raise UnknownNameError(f"unknown tracker {name!r}; known: {', '.join(TRACKERS)}")
