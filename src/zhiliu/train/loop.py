"""The one training loop: shuffled batches, gradient steps, averaged weights, early stopping on a later day."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zhiliu.train.errors import TrainError
from zhiliu.train.trackers import Tracker

Progress = Callable[[str, float], None]
"""Called with what is going on and how much of it is done (0–1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """How to descend."""

    epochs: int = 4
    """At most this many passes."""
    batch: int = 512
    learning_rate: float = 1e-3
    optimizer: Literal["adam", "sgd"] = "adam"
    weight_decay: float = 1e-5
    embedding_decay: float = 1e-4
    """Weight decay of parameters whose name holds ``items``, ``person`` or ``video``: they overfit first."""
    averaging: float = 0.998
    """Decay of the running mean of the weights that is evaluated and kept; 0 keeps the last step."""
    patience: int = 1
    """Stop after this many epochs without a better validation loss."""
    clip: float = 5.0
    seed: int = 0


Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Fitted(Generic[Net]):
    """The best weights found and how it went."""

    net: Net
    epoch: int
    """Passes the best weights have seen."""
    losses: tuple[float, ...]
    """Training loss of each epoch."""
    validation: tuple[float, ...]


def fit(
    net: Net,
    loss_of: Callable[[Net, Tensor], Tensor],
    rows: int,
    config: LoopConfig,
    *,
    validate: Callable[[Net], float] | None = None,
    tracker: Tracker | None = None,
    progress: Progress | None = None,
    label: str = "train",
) -> Fitted[Net]:
    """Minimise ``loss_of(net, batch)`` over ``rows`` rows; ``batch`` holds row numbers, int64 (b,).

    Without ``validate`` the last epoch is the best. The same seed gives the same weights.

    Raises:
        TrainError: no row, or the loss is not finite.

    """
    if rows == 0:
        raise TrainError(f"{label}: no row to train on before the cut; import more or move --until")
    torch.manual_seed(config.seed)
    optimizer = make_optimizer(net, config)
    per_epoch = math.ceil(rows / config.batch)
    schedule = warm_then_cosine(optimizer, per_epoch * config.epochs)
    mean = copy.deepcopy(net)
    best: tuple[float, int, Net] | None = None
    losses: list[float] = []
    validation: list[float] = []
    for epoch in range(config.epochs):
        rng = np.random.default_rng([config.seed, epoch])
        net.train()
        total, step = 0.0, epoch * per_epoch
        for batch in batches(rng.permutation(rows), config.batch):
            loss = loss_of(net, batch)
            total += step_down(net, loss, optimizer, config.clip, label)
            schedule.step()
            step += 1
            average(mean, net, min(config.averaging, step / (step + 10)) if config.averaging else 0.0)
            if progress is not None and step % 20 == 0:
                progress(f"{label} epoch {epoch + 1}/{config.epochs}", step / (per_epoch * config.epochs))
        losses.append(total / per_epoch)
        mean.eval()
        score = validate(mean) if validate is not None else -float(epoch)
        validation.append(score)
        if tracker is not None:
            tracker.log({f"{label}/loss": losses[-1], f"{label}/validation": score}, epoch)
        if best is None or score < best[0]:
            best = (score, epoch + 1, copy.deepcopy(mean))
        elif epoch + 1 - best[1] >= config.patience:
            break
    if best is None:
        raise TrainError(f"{label}: epochs must be at least 1, not {config.epochs}")
    return Fitted(best[2].eval(), best[1], tuple(losses), tuple(validation))


def batches(order: NDArray[np.int64], size: int) -> list[Tensor]:
    """Row numbers cut into batches; the last may be short."""
    return [torch.from_numpy(order[i : i + size]) for i in range(0, len(order), size)]


def make_optimizer(net: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    """Adam or SGD with a stronger decay on embeddings."""
    embedding: list[nn.Parameter] = []
    other: list[nn.Parameter] = []
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            is_table = any(part in name for part in ("items", "person", "video"))
            (embedding if is_table else other).append(parameter)
    groups = [
        {"params": other, "weight_decay": config.weight_decay},
        {"params": embedding, "weight_decay": config.embedding_decay},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def warm_then_cosine(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Learning rate up over the first tenth, then down along a cosine to a hundredth."""
    warm = max(1, steps // 10)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        done = min(1.0, (step - warm) / max(1, steps - warm))
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def step_down(
    net: nn.Module, loss: Tensor, optimizer: torch.optim.Optimizer, clip: float, label: str
) -> float:
    """One gradient step; the loss as a number."""
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainError(f"{label}: the loss became {value}; lower the learning rate")
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimizer.step()
    return value


@torch.no_grad()
def average(mean: nn.Module, net: nn.Module, decay: float) -> None:
    """Mean ← decay · mean + (1 − decay) · net."""
    for kept, now in zip(mean.parameters(), net.parameters(), strict=True):
        kept.lerp_(now, 1 - decay)
    for held, current in zip(mean.buffers(), net.buffers(), strict=True):
        held.copy_(current)
