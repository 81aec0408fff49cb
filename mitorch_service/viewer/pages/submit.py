"""The page on which a config is written or dropped, checked as it is typed, explained and queued."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from mitorch_service.errors import NotAllowed
from mitorch_service.models.training import DEFAULT_PRIORITY
from mitorch_service.viewer.context import Given
from mitorch_service.viewer.pages.templates import render

router = APIRouter(include_in_schema=False)
_MOST_DATASETS = 500

_EXAMPLE = """{
  "dataset": "NAME",
  "model": {"name": "resnet18", "input_size": 224},
  "optimizer": {"name": "adamw", "weight_decay": 0.01},
  "lr_scheduler": {"name": "cosine", "base_lr": 0.001, "warmup": "linear"},
  "augmentation": {"train": ["random_resized_crop", "horizontal_flip"], "val": "center_crop"},
  "batch_size": 32,
  "max_epochs": 20
}
"""


@router.get("/submit")
def show(request: Request, context: Given) -> HTMLResponse:
    """The form. Raises NotAllowed on a read-only server."""
    if context.read_only or not getattr(request.state, "may_change", False):
        raise NotAllowed("server", "here", "read-only", "given a config", "Submit it with misubmit.")
    with context.reading() as store:
        datasets = [str(dataset.ref) for dataset in store.datasets.list_datasets().items[:_MOST_DATASETS]]
    example = _EXAMPLE.replace("NAME", datasets[0].rpartition(":")[0] if datasets else "NAME")
    return render(request, "submit.html", title="Submit", datasets=datasets, example=example, priority=DEFAULT_PRIORITY)
