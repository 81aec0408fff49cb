"""The skeleton, filled in: each class is learned as the mean colour of its objects, by steps of the size `lr`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import utils
from PIL import Image, ImageStat

import mitorch_service

Colour = tuple[float, float, float]


def main() -> None:
    options = utils.arguments(epochs=5, lr=0.5, min_confidence=0.0)
    train = samples(utils.read_sets(options.train_sets, options.min_confidence))
    test = samples(utils.read_sets(options.test_sets or options.train_sets, options.min_confidence))
    model = {name: (128.0, 128.0, 128.0) for name, _ in train}
    for epoch in range(1, options.epochs + 1):
        loss = sum(distance(model[name], colour) for name, colour in train) / len(train)
        for name, colour in train:
            model[name] = toward(model[name], colour, options.lr)
        right = sum(nearest(model, colour) == name for name, colour in test) / len(test)
        print(f"epoch {epoch}: loss {loss:.1f}, accuracy {right:.3f}")
        mitorch_service.report(epoch=epoch, train_loss=loss, metrics={"accuracy": right})
        if mitorch_service.should_stop():
            return
    output = Path(os.environ.get("MITORCH_OUTPUT", "outputs"))
    output.mkdir(parents=True, exist_ok=True)
    (output / "colours.json").write_text(json.dumps(model, indent=2))


def samples(images: list[utils.LabelledImage]) -> list[tuple[str, Colour]]:
    """The class and mean colour of each object."""
    found: list[tuple[str, Colour]] = []
    for one in images:
        with Image.open(one.path) as file:
            picture = file.convert("RGB")
        for thing in one.objects:
            corners = (int(thing["bottomX"]), int(thing["bottomY"]), int(thing["topX"]), int(thing["topY"]))
            red, green, blue = ImageStat.Stat(picture.crop(corners)).mean
            found.append((utils.name_of(thing), (red, green, blue)))
    return found


def distance(one: Colour, two: Colour) -> float:
    return float(sum((a - b) ** 2 for a, b in zip(one, two, strict=True)) ** 0.5)


def toward(one: Colour, two: Colour, step: float) -> Colour:
    red, green, blue = (a + step * (b - a) for a, b in zip(one, two, strict=True))
    return red, green, blue


def nearest(model: dict[str, Colour], colour: Colour) -> str:
    return min(model, key=lambda name: distance(model[name], colour))


if __name__ == "__main__":
    main()
