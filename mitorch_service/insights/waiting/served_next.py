"""Who is served next: the head of the queue as a pass sees it, and where shares are counted, in their turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from mitorch_service.controller.observe.share_usage import ShareLedger
from mitorch_service.controller.plan.placing.fair_share import ShareReport, Shares
from mitorch_service.controller.plan.placing.order_of_service import OrderOfService, in_order
from mitorch_service.models.training import TrainingRow
from mitorch_service.placement_settings.policy import FairShare, Policy
from mitorch_service.stores.base import Store

_MOST_SHARES = 100  # whose own heads are read


@dataclass(frozen=True)
class ServedNext:
    """The next trainings to start, as if nodes were free for all of them, and the standing of the shares."""

    queue: Sequence[TrainingRow]
    shares: Sequence[ShareReport] = ()  # the one that is served next first


def read_served_next(
    store: Store,
    policy: Policy,
    now: datetime,
    head: Sequence[TrainingRow],
    active: Sequence[TrainingRow],
    limit: int,
) -> ServedNext:
    """Returns the first `limit` trainings. `head`: the queue by priority and age; each share's own is read, too."""
    settings = policy.fair_share
    if settings is None:
        return ServedNext(head[:limit])
    waiting = in_order([*head, *_heads_of_shares(store, settings, limit)])
    shares = Shares(now, settings, ShareLedger(store, settings).read(now, active), active)
    reports = shares.reports(waiting)
    return ServedNext(list(islice(_served(waiting, shares), limit)), reports)


def _heads_of_shares(store: Store, settings: FairShare, limit: int) -> Iterator[TrainingRow]:
    for share in store.queue.waiting_shares(settings.by, _MOST_SHARES):
        yield from store.queue.head_of_share(settings.by, share, limit).items


def _served(waiting: Sequence[TrainingRow], shares: Shares) -> Iterator[TrainingRow]:
    order = OrderOfService(waiting, shares)
    for row in order:
        yield row
        order.start(row)
