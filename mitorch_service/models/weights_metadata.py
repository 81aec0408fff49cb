"""The metadata beside the weights in a file: all that using them takes, without the config and the data set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mitorch_service.models.base import Document, JsonObject

FORMAT_KEY = "mitorch_service"  # in the file, its value is the version of the format
FORMAT = 1


class Preprocessing(Document):
    """The preparation of an image before the network: the transforms of the validation, then the normalisation."""

    input_size: Annotated[int, Field(ge=1)]  # pixels, square
    transforms: list[JsonObject]  # in their order, each with name and options, as in the config's augmentation.val
    colours: Literal["RGB"] = "RGB"  # the order of the channels
    mean: tuple[float, ...]  # of each channel, for values in 0..1; a detector normalises itself: 0 and 1 here
    std: tuple[float, ...]


class WeightsMetadata(Document):
    """The description of the weights in a file."""

    task_type: str
    classes: tuple[str, ...]  # in the order of the network's outputs
    classes_named: bool = True  # False: the names were made up from the numbers
    config: JsonObject  # the training config as it was written
    preprocessing: Preprocessing
    # The score with the best F1 in the validation, from which a prediction counts; None: the config's.
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
