"""An example of your own program as a script: fits y = a x + b by gradient descent. It also runs without the queue."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import mitorch_service

POINTS = [(x / 10, 3 * x / 10 - 1) for x in range(-10, 11)]
STATE = Path("state.json")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()

    a, b, done = 0.0, 0.0, 0
    earlier = mitorch_service.last_checkpoint()  # of an attempt that was interrupted
    if earlier is not None:
        a, b, done = json.loads(earlier.read_text())
    for epoch in range(done + 1, arguments.epochs + 1):
        errors = [(a * x + b - y, x) for x, y in POINTS]
        loss = sum(error**2 for error, _ in errors) / len(errors)
        a -= arguments.lr * sum(2 * error * x for error, x in errors) / len(errors)
        b -= arguments.lr * sum(2 * error for error, _ in errors) / len(errors)
        print(f"epoch {epoch}: loss {loss:.4f}")
        mitorch_service.report(epoch=epoch, train_loss=loss, val_loss=loss, metrics={"slope": a, "offset": b})
        STATE.write_text(json.dumps([a, b, epoch]))
        mitorch_service.checkpoint(STATE)
        if mitorch_service.should_stop():
            return


if __name__ == "__main__":
    main()
