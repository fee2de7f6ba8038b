"""Platt scaling: two numbers a head, fitted on a later day than the weights (Platt 1999)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

F64 = NDArray[np.float64]


def platt(logit: NDArray[np.float32], label: NDArray[np.float32]) -> tuple[float, float]:
    """``(a, b)`` so that σ(a · logit + b) has the least log loss; both (R,).

    With a handful of positives the slope stays 1 and only the level moves: two numbers would be fitted to noise.
    """
    x, y = logit.astype(np.float64), label.astype(np.float64)
    positives = float(y.sum())
    if positives < 1 or positives > len(y) - 1:
        return 1.0, 0.0
    slope_too = min(positives, len(y) - positives) >= 50

    def loss(parameters: F64) -> tuple[float, F64]:
        a, b = parameters if slope_too else (1.0, parameters[0])
        z = a * x + b
        p = 1 / (1 + np.exp(-z))
        value = float(np.mean(np.logaddexp(0, z) - y * z))
        gradient = np.array([np.mean((p - y) * x), np.mean(p - y)])
        return value, gradient if slope_too else gradient[1:]

    start = np.array([1.0, 0.0]) if slope_too else np.array([0.0])
    best = minimize(loss, start, jac=True, method="BFGS").x
    return (float(best[0]), float(best[1])) if slope_too else (1.0, float(best[0]))
