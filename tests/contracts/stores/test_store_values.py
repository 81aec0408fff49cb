"""Whatever is stored comes back as it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from mitorch_service.models.base import to_utc_milliseconds
from mitorch_service.stores.base import Store
from tests.samples import NOW, a_job, a_result, a_training, an_attempt

VALUES: dict[str, Any] = {
    "text": "Grüße, 你好 🙂 \u0000 \n\t\"'\\",
    "empty text": "",
    "int64": 2**63 - 1,
    "negative int64": -(2**63),
    "float": 0.1 + 0.2,
    "tiny": 5e-324,
    "whole float": 2.0,
    "true": True,
    "null": None,
    "empty list": [],
    "empty mapping": {},
    "nested": {"a": [{"b": [[], {}, [1, [2.5, None]]]}, "c"]},
    "odd.keys": {"$dollar": 1, "with space": 2, "ünï": 3, "": 4},
}


@pytest.mark.parametrize("name", VALUES)
def test_a_config_comes_back_as_it_was(store: Store, name: str) -> None:
    training = a_training(config={"value": VALUES[name]})
    store.queue.add_trainings([training])
    back = store.trainings.get_training(training.id).config["value"]
    assert back == VALUES[name]
    assert isinstance(back, type(VALUES[name]))  # BSON gives large numbers as its own kind of int


def test_a_whole_training_comes_back_as_it_was(store: Store) -> None:
    training = a_training(name="ä name", tags=["team=vision", "a=b=c"], priority=-5)
    store.queue.add_trainings([training])
    assert store.trainings.get_training(training.id) == training


def test_a_whole_job_comes_back_as_it_was(store: Store) -> None:
    job = a_job(tags=["x=y"])
    store.jobs.add_job(job)
    assert store.jobs.get_job(job.id) == job


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e308])
def test_losses_need_not_be_finite(store: Store, loss: float) -> None:
    training = running(store)
    result = a_result(1, train_loss=loss, val_loss=loss, metrics={"accuracy": loss})
    store.runs.record_epoch(training, 1, 3, result)
    (back,) = store.runs.curve(training).items
    for value in (back.train_loss, back.val_loss, back.metrics["accuracy"]):
        assert value is not None
        assert math.isnan(value) if math.isnan(loss) else value == loss
    progress = store.trainings.get_training(training).progress
    assert progress is not None
    assert progress.train_loss is not None
    assert math.isnan(progress.train_loss) == math.isnan(loss)


def test_times_are_kept_to_the_millisecond_in_utc(store: Store) -> None:
    tokyo = timezone(timedelta(hours=9))
    local = datetime(2026, 3, 1, 8, 59, 59, 999_999, tzinfo=tokyo)
    training = a_training(created_at=local)
    store.queue.add_trainings([training])
    back = store.trainings.get_training(training.id).created_at
    assert back == datetime(2026, 2, 28, 23, 59, 59, 999_000, tzinfo=UTC)
    assert back.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        to_utc_milliseconds(datetime(2026, 1, 1))  # noqa: DTZ001 - the point


def test_arrival_is_a_64_bit_number_that_orders(store: Store) -> None:
    first, second = a_training(arrival=2**53), a_training(arrival=2**53 + 1)  # the same as floats
    store.queue.add_trainings([second, first])
    assert [row.id for row in store.queue.queue_head(2).items] == [first.id, second.id]


def test_what_was_written_is_seen_by_a_store_opened_later(open_store: Callable[[], Store]) -> None:
    first = open_store()
    first.prepare()
    training = a_training()
    first.queue.add_trainings([training])
    first.close()
    assert open_store().trainings.get_training(training.id) == training


def running(store: Store) -> str:
    """The id of a training whose first attempt has started."""
    training = a_training()
    store.queue.add_trainings([training])
    assert store.queue.claim_training(training.id, an_attempt(training))
    store.runs.start_training(training.id, 1, "worker", NOW)
    return training.id
