"""A small program that learns a line by stochastic gradient descent and goes on where it was: for `micontrol drill`."""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import mitorch_service

_SAMPLES = 50  # of an epoch


def main() -> None:
    """Trains from the last checkpoint, or anew. The curve depends on the seed alone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0, help="of an epoch")
    arguments = parser.parse_args()
    earlier = mitorch_service.last_checkpoint()
    done, slope = (0, 0.0) if earlier is None else json.loads(Path(earlier).read_text())
    for epoch in range(done + 1, arguments.epochs + 1):
        if mitorch_service.should_stop():
            return
        loss, slope = _epoch(epoch, slope)
        time.sleep(arguments.seconds)
        mitorch_service.report(epoch=epoch, train_loss=loss, val_loss=abs(slope - 2.0), metrics={"slope": slope})
        Path("drill_state.json").write_text(json.dumps([epoch, slope]))
        mitorch_service.checkpoint("drill_state.json")


def _epoch(epoch: int, slope: float) -> tuple[float, float]:
    """One epoch on samples of ``y = 2 x`` with noise, drawn anew for each epoch."""
    draw, total = random.Random(epoch), 0.0
    for _ in range(_SAMPLES):
        x = draw.uniform(-1.0, 1.0)
        error = slope * x - (2.0 * x + draw.gauss(0.0, 0.1))
        slope -= 0.05 * error * x
        total += error * error
    return total / _SAMPLES, slope


if __name__ == "__main__":
    main()
