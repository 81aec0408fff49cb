"""The state of the service and its queue."""

from __future__ import annotations

from mitorch_service.insights.details.status_details import QueueDetails, StatusDetails, queue_details, status_details
from mitorch_service.insights.service_status import status_with
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Given
from mitorch_service.viewer.live.service import watch_of

router = api_router("status")


@router.get("/status", summary="Clusters, controller, and what needs a person")
def get_status(context: Given) -> StatusDetails:
    """As `micontrol status`. Clusters are asked in the background: `age_seconds` says how old an answer is."""
    reading = watch_of(context).read()
    prices = {one.name: one.price for one in context.settings.clusters}
    return status_details(reading.status, prices, reading.ages, context.clock())


@router.get("/queue", summary="What runs and what starts next")
def get_queue(context: Given) -> QueueDetails:
    """The first of each; `/api/trainings` has all."""
    with context.reading() as store:
        return queue_details(status_with(store, {}, context.clock(), policy=context.settings.placement))
