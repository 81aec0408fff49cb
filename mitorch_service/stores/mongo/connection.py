"""The connection to a MongoDB server: its settings, the repetition of its calls, its errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pymongo
from bson.errors import BSONError
from pymongo import ReadPreference, errors
from pymongo.server_description import ServerDescription
from pymongo.uri_parser import split_options

from mitorch_service.errors import AccessRefused, QueryTimedOut, StoreError, StoreUnavailable
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.stores.mongo.errors import (
    asked_wait,
    is_dns_failure,
    is_full,
    is_overloaded,
    is_refused,
    reason,
    unreachable_reason,
)
from mitorch_service.stores.patience import repeatedly

Result = TypeVar("Result")

# A person waits for the first; runs and passes repeat what it ended.
_CLOCK_SECONDS = 3.0
TIMEOUTS = {"serverSelectionTimeoutMS": 3_000, "connectTimeoutMS": 10_000, "socketTimeoutMS": 60_000}
_PATIENCE_SECONDS = 30.0  # in which a call is repeated: added ids are skipped, changes are guarded


class _Limit(threading.local):
    """The limit of time of one thread's reads."""

    seconds: float | None = None


class MongoConnection:
    """One database of one server. Writes are acknowledged by the majority (pymongo's and MongoDB's default)."""

    def __init__(self, uri: str, name: str) -> None:
        self.where = mask_secrets(uri)
        try:
            self._client = _open_client(uri)
        except (errors.PyMongoError, ValueError, OSError) as error:  # OSError: of its files for TLS
            problem = mask_secrets(str(error))
            if is_dns_failure(error):
                raise self._unavailable(f"cannot be reached ({problem})") from error
            raise StoreError(self.where, problem, "Correct MITORCH_DB_URI (mongodb://user:password@host).") from error
        # A secondary may answer with what a guard has refused already.
        self.db = self._client.get_database(name, read_preference=ReadPreference.PRIMARY)
        self._limit = _Limit()

    def close(self) -> None:
        self._client.close()

    def ask_server(self, command: str) -> dict[str, Any]:
        """Returns the answer of the server itself. Raises PyMongoError: see `call`."""
        return self._client.admin.command(command)

    def hello(self) -> dict[str, Any]:
        """Returns the server's answer with its time, within some seconds. Raises PyMongoError."""
        with pymongo.timeout(_CLOCK_SECONDS):
            return self.ask_server("hello")

    def call(self, operation: Callable[[], Result]) -> Result:
        """Makes a call, and repeats it while its error passes by itself."""
        try:
            return repeatedly(operation, self._asked_wait, _PATIENCE_SECONDS)
        except errors.ServerSelectionTimeoutError:
            problem = mask_secrets(unreachable_reason(self._servers()))
            raise self._unavailable(f"cannot be reached ({problem})") from None  # the driver adds its whole topology
        except (errors.PyMongoError, BSONError, OverflowError, ValueError, TypeError) as error:
            raise self.error_for(error) from error

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        """Ends the calls of this thread, which are not repeated, after so many seconds in all."""
        before, self._limit.seconds = self._limit.seconds, seconds
        try:
            with pymongo.timeout(seconds):
                yield
        finally:
            self._limit.seconds = before

    def error_for(self, error: Exception) -> StoreError:
        """Our error for one of the driver's."""
        if isinstance(error, errors.PyMongoError) and error.timeout and self._limit.seconds is not None:
            return QueryTimedOut(self.where, self._limit.seconds)
        problem = mask_secrets(reason(error))
        if isinstance(error, errors.ConnectionFailure) and not isinstance(error, errors.NotPrimaryError):
            return self._unavailable(f"cannot be reached ({problem})")
        if asked_wait(error) is not None:
            slower = "raise its throughput or let fewer trainings run" if is_overloaded(error) else "look at the server"
            state = "is overloaded or not ready" if is_overloaded(error) else "has no primary or is not ready"
            return StoreUnavailable(
                self.where,
                f"{state}, for {_PATIENCE_SECONDS:g} s: {problem}",
                f"Try again later; if it happens often, {slower}.",
            )
        if is_full(error):
            return StoreUnavailable(self.where, f"has no space left: {problem}", "Make room on the server's disk.")
        if is_refused(error):
            remedy = "Check the password in MITORCH_DB_URI, the user's rights, and that the server can be written."
            return AccessRefused(self.where, problem, remedy)
        return StoreError(self.where, problem, "See `mitorch doctor`; check the user's rights.")

    def _asked_wait(self, error: Exception) -> float | None:
        if self._limit.seconds is not None:
            return None
        if isinstance(error, errors.ServerSelectionTimeoutError):
            # Some answer, but none is the primary: they elect one. Otherwise waiting on has little hope.
            return 0.0 if any(server.is_server_type_known for server in self._servers()) else None
        return asked_wait(error)

    def _servers(self) -> list[ServerDescription]:
        return list(self._client.topology_description.server_descriptions().values())

    def _unavailable(self, problem: str) -> StoreUnavailable:
        return StoreUnavailable(
            self.where,
            problem,
            "Check MITORCH_DB_URI, that the server runs, and its firewall; then try again.",
        )


def _open_client(uri: str) -> pymongo.MongoClient[dict[str, Any]]:
    given = uri.lower()
    timeouts: dict[str, Any] = {key: value for key, value in TIMEOUTS.items() if key.lower() not in given}
    if options := uri.partition("?")[2]:
        split_options(options, validate=True, warn=False)  # raises for what the client would ignore
    return pymongo.MongoClient(
        uri,
        tz_aware=True,
        appname="mitorch",
        # A value that Python cannot hold must not fail the whole answer: its document is set aside.
        datetime_conversion="DATETIME_AUTO",
        unicode_decode_error_handler="replace",
        **timeouts,
    )
