"""torch → ONNX, with a parity check: what serving runs must be what was trained."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from zhiliu.artifact import onnx_session
from zhiliu.train.errors import TrainError

TOLERANCE = 1e-4


def export(net: nn.Module, example: dict[str, Tensor], dynamic: set[str], output: str, file: Path) -> float:
    """Write ``net`` to ``file``; the largest difference between torch and onnxruntime on ``example``.

    ``dynamic`` names the inputs whose first axis is the number of candidates.

    Raises:
        TrainError: the two disagree by more than 1e-4.

    """
    net = net.eval()
    rows = torch.export.Dim("rows", min=1)
    shapes = {name: ({0: rows} if name in dynamic else None) for name in example}
    with warnings.catch_warnings(), torch.inference_mode(False):
        warnings.simplefilter("ignore")  # the exporter warns about its own future
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            net,
            kwargs=example,
            f=str(file),
            input_names=list(example),
            output_names=[output],
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    with torch.inference_mode():
        expected = net(**example).numpy()
    got = onnx_session(file).run([output], {name: value.numpy() for name, value in example.items()})[0]
    difference = float(np.max(np.abs(expected - got))) if expected.size else 0.0
    if not difference <= TOLERANCE:
        raise TrainError(
            f"{file.name}: onnxruntime differs from torch by {difference:.2e}, more than {TOLERANCE}"
        )
    return difference
