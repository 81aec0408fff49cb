"""Errors of MongoDB that pass by themselves, and the time that the server asks to wait."""

from __future__ import annotations

from typing import Any

import pymongo.helpers_shared
import pytest
from pymongo import errors

from mitorch_service.stores.mongo.errors import (
    CHANGING,
    OVERLOADED,
    TOO_SLOW,
    asked_wait,
    is_dns_failure,
    is_full,
    is_refused,
    reason,
    was_not_done,
)

AZURE = "Error=16500, RetryAfterMs=34, Details='Response status code does not indicate success: TooManyRequests (429)"
STAYING = [1, 2, 9, 11, 13, 18, 26, 48, 59, 66, 67, 72, 85, 86, 115, 121, 10334, 11000, 17280]


def failure(code: int, text: str = "it went wrong", *labels: str, **more: Any) -> errors.OperationFailure:
    details = {"ok": 0.0, "code": code, "errmsg": text, "errorLabels": list(labels), **more}
    error = errors.OperationFailure(text, code, details)
    return error


def bulk(*codes: int, concern: int | None = None) -> errors.BulkWriteError:
    texts = [AZURE if code == 16500 else "it went wrong" for code in codes]
    writes = [
        {"index": i, "code": code, "errmsg": text} for i, (code, text) in enumerate(zip(codes, texts, strict=True))
    ]
    concerns = [] if concern is None else [{"code": concern, "errmsg": "waiting for replication timed out"}]
    return errors.BulkWriteError({"writeErrors": writes, "writeConcernErrors": concerns, "nInserted": 0})


@pytest.mark.parametrize("code", [*OVERLOADED, *TOO_SLOW, *CHANGING])
def test_a_code_that_passes(code: int) -> None:
    assert asked_wait(failure(code)) == 0.0


def test_every_code_that_the_driver_itself_repeats_passes() -> None:
    known = {*OVERLOADED, *TOO_SLOW, *CHANGING}
    assert known >= pymongo.helpers_shared._RETRYABLE_ERROR_CODES


@pytest.mark.parametrize("code", STAYING)
def test_a_code_that_stays(code: int) -> None:
    assert asked_wait(failure(code)) is None


@pytest.mark.parametrize(
    "label", ["RetryableWriteError", "TransientTransactionError", "RetryableError", "SystemOverloadedError"]
)
def test_a_label_says_that_it_passes_whatever_the_code(label: str) -> None:
    assert asked_wait(failure(77, "new in some later version", label)) == 0.0


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (failure(16500, AZURE), 0.034),
        (failure(16500, 'Message: {"Errors":["Request rate is large"],"RetryAfterMs": 1500}'), 1.5),
        (failure(1, "Request rate is large. More Request Units may be needed, RetryAfterMs=7"), 0.007),
        (bulk(16500, 11000), 0.034),
        (failure(50, "Request timed out. Retries due to rate limiting: True."), 0.0),
        (errors.ExecutionTimeout("operation exceeded time limit", 50), 0.0),
        (errors.WTimeoutError("waiting for replication timed out", 64), 0.0),
        (errors.NetworkTimeout("timed out"), 0.0),
        (errors.NotPrimaryError("not primary", {"code": 10107}), 0.0),
        (errors.WaitQueueTimeoutError("no connection was free"), 0.0),
        (bulk(91, concern=64), 0.0),
        (bulk(concern=91), 0.0),
    ],
)
def test_the_server_may_say_how_long_to_wait(error: Exception, seconds: float) -> None:
    asked = asked_wait(error)
    assert asked is not None
    assert asked == pytest.approx(seconds)


@pytest.mark.parametrize(
    "error",
    [
        bulk(11000),
        bulk(16500, 121),
        bulk(2),
        errors.ConfigurationError("no such option"),
        errors.ServerSelectionTimeoutError("it has waited already"),
        ValueError("of ours"),
    ],
)
def test_what_stays_is_not_repeated(error: Exception) -> None:
    assert asked_wait(error) is None


def test_only_what_was_refused_at_the_door_was_certainly_not_done() -> None:
    assert was_not_done(failure(16500, AZURE))
    assert was_not_done(failure(6, "overloaded", "NoWritesPerformed"))
    assert not was_not_done(failure(50))
    assert not was_not_done(errors.AutoReconnect("the connection was lost"))


def test_the_reason_is_the_servers_own_without_the_documents_that_the_driver_adds() -> None:
    assert reason(failure(13, "not authorized on mitorch")) == "not authorized on mitorch (13)"
    assert reason(failure(189, "stepping down")) == "stepping down (PrimarySteppedDown, 189)"
    assert reason(bulk(16500, 16500)) == f"{AZURE} (RequestRateTooLarge, 16500)"


def test_a_name_server_that_does_not_answer_is_no_mistake_of_the_uri() -> None:
    dns = pytest.importorskip("dns.resolver")
    silent, wrong = errors.ConfigurationError("no answer"), errors.ConfigurationError("no such name")
    silent.__cause__, wrong.__cause__ = dns.NoNameservers(), dns.NXDOMAIN()
    assert is_dns_failure(silent)
    assert not is_dns_failure(wrong)
    assert not is_dns_failure(errors.ConfigurationError("anything else"))


@pytest.mark.parametrize(
    "error",
    [
        failure(14031, "available disk space is less than required minimum"),
        failure(8, "could not extend file: No space left on device (SQLSTATE 53100)"),
        failure(1, "the disk is full"),
        bulk(14031, 11000),
    ],
)
def test_a_full_disk_is_neither_waited_for_nor_taken_for_a_refusal(error: Exception) -> None:
    assert is_full(error)
    assert not is_refused(error)
    assert asked_wait(error) is None


@pytest.mark.parametrize(
    "error",
    [
        failure(13, "not authorized"),
        failure(18, "Authentication failed."),
        failure(8000, "user is not allowed to do action [insert]"),
        failure(8, "cannot execute UPDATE in a read-only transaction (SQLSTATE 25006)"),
        bulk(13),
    ],
)
def test_a_right_that_is_missing(error: Exception) -> None:
    assert is_refused(error)
    assert not is_full(error)


@pytest.mark.parametrize("error", [failure(121, "the disk is full of read-only mode"), failure(11000), ValueError("x")])
def test_words_of_other_codes_and_other_errors_are_neither(error: Exception) -> None:
    assert not is_full(error)
    assert not is_refused(error)
