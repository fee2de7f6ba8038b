"""Figures as text tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zhiliu.evaluate.metrics import Interval
from zhiliu.evaluate.ranking import HeadReport
from zhiliu.types import HEADS


def heads_table(title: str, models: Mapping[str, Mapping[str, HeadReport]]) -> str:
    """One line a head and model."""
    lines = [["head", "model", "AUC [95 %]", "gAUC [95 %]", "log loss", "ECE", "MSE", "positives"]]
    for head in HEADS:
        for model, reports in models.items():
            if head in reports:
                r = reports[head]
                figures = [f"{r.log_loss:.4f}", f"{r.ece:.4f}", f"{r.mse:.4f}", str(r.positives)]
                lines.append([head, model, str(r.auc), str(r.gauc), *figures])
    return title + "\n" + aligned(lines)


def differences_table(title: str, against: Mapping[str, tuple[Interval, Interval]]) -> str:
    """Paired differences a head."""
    lines = [["head", "AUC difference [95 %]", "gAUC difference [95 %]"]]
    lines += [[head, signed(auc), signed(gauc)] for head, (auc, gauc) in against.items()]
    return title + "\n" + aligned(lines)


def signed(x: Interval) -> str:
    """With a sign: it is a difference."""
    return f"{x.value:+.4f} [{x.low:+.4f}, {x.high:+.4f}]"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns padded to the widest cell; the first line is the header."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    padded = [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines
    ]
    return "\n".join([padded[0], "-" * len(padded[0]), *padded[1:]])
