"""Does once, before the forks, what a process does at its first picture and its first convolution: fonts are read,
kernels are chosen. Importing it is enough. Nothing here starts a thread, which a fork would lack."""

from __future__ import annotations

import io

import torch
from matplotlib import rcParams
from matplotlib.figure import Figure


def _draw() -> None:
    rcParams["text.parse_math"] = False
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], label="a line")
    axes.set_title("a title", fontsize=9, loc="left")
    axes.legend()
    figure.savefig(io.BytesIO(), dpi=100, format="png")


_draw()
with torch.inference_mode():
    torch.nn.Conv2d(3, 8, 3)(torch.zeros(2, 3, 32, 32))
