"""A training on pairs of image and label sets: copy this folder and fill in what is numbered. `train_colours.py` is an
example that is filled in."""

from __future__ import annotations

import os
from pathlib import Path

import utils

import mitorch_service


def main() -> None:
    # 1. Your parameters, with their defaults.
    options = utils.arguments(epochs=10, lr=0.01)

    # 2. The sets; convert them to what your model reads (or start from `midataset export`).
    train = utils.read_sets(options.train_sets)
    test = utils.read_sets(options.test_sets or options.train_sets)
    classes = utils.classes_of(train)
    print(f"{len(train)} images to train, {len(test)} to test, classes {classes}")

    # 3. Prepare your model here.

    for epoch in range(1, options.epochs + 1):
        # 4. Train and test your model here; what you report is the curve.
        mitorch_service.report(epoch=epoch, train_loss=0.0, val_loss=0.0, metrics={"images": len(train)})
        if mitorch_service.should_stop():
            return

    # 5. What you write here is kept, and registered by `register_model`.
    output = Path(os.environ.get("MITORCH_OUTPUT", "outputs"))
    output.mkdir(parents=True, exist_ok=True)
    (output / "classes.txt").write_text("".join(f"{name}\n" for name in classes))


if __name__ == "__main__":
    main()
