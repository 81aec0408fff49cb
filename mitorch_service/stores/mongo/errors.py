"""Tells which errors of MongoDB, and of services that speak its protocol, pass by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pymongo import errors
from pymongo.server_description import ServerDescription

_DUPLICATE_KEY = 11000

# Refused before anything was done: the server is asked for too much. MongoDB's categories SystemOverloadedError and
# RetriableError (src/mongo/base/error_codes.yml); 16500 is Azure's ("Prevent rate-limiting errors", Cosmos DB).
OVERLOADED: Mapping[int, str] = {
    16500: "RequestRateTooLarge",
    208: "TooManyLocks",
    261: "TooManyLogicalSessions",
    264: "TooManyFilesOpen",
    365: "TemporarilyUnavailable",
    402: "ResourceExhausted",
    407: "PooledConnectionAcquisitionExceededTimeLimit",
    433: "AdmissionQueueOverflow",
    449: "RateLimitExceeded",
    450: "PooledConnectionAcquisitionRejected",
    462: "IngressRequestRateLimitExceeded",
}
# Too slow for its limit of time, which on Azure means overloaded too ("ExceededTimeLimit", 50).
TOO_SLOW: Mapping[int, str] = {
    24: "LockTimeout",
    46: "LockBusy",
    50: "MaxTimeMSExpired",
    64: "WriteConcernTimeout",
    112: "WriteConflict",
    202: "NetworkInterfaceExceededTimeLimit",
    262: "ExceededTimeLimit",
}
# The primary changes, a server starts, stops or loses another one: the specifications "Server Discovery and Monitoring"
# and "Retryable Writes" of MongoDB's drivers (in pymongo: helpers_shared.py), and MongoDB's category RetriableError.
CHANGING: Mapping[int, str] = {
    6: "HostUnreachable",
    7: "HostNotFound",
    43: "CursorNotFound",
    63: "StaleShardVersion",
    89: "NetworkTimeout",
    91: "ShutdownInProgress",
    94: "NotYetInitialized",
    117: "ConflictingOperationInProgress",
    133: "FailedToSatisfyReadPreference",
    134: "ReadConcernMajorityNotAvailableYet",
    145: "PooledConnectionsDropped",
    150: "StaleEpoch",
    175: "QueryPlanKilled",
    189: "PrimarySteppedDown",
    215: "DatabaseDropPending",
    216: "ElectionInProgress",
    230: "DNSHostNotFound",
    237: "CursorKilled",
    249: "StaleDbVersion",
    272: "MigrationConflict",
    285: "IndexBuildAlreadyInProgress",
    314: "ObjectIsBusy",
    317: "ConnectionPoolExpired",
    355: "InterruptedDueToStorageChange",
    371: "UserWritesBlocked",
    384: "ConnectionError",
    391: "ReauthenticationRequired",
    453: "InterruptedDueToReshardingCriticalSection",
    9001: "SocketException",
    10058: "LegacyNotPrimary",
    10107: "NotWritablePrimary",
    11600: "InterruptedAtShutdown",
    11601: "Interrupted",
    11602: "InterruptedDueToReplStateChange",
    12586: "BackgroundOperationInProgressForDatabase",
    12587: "BackgroundOperationInProgressForNamespace",
    13388: "StaleConfig",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
    56846: "ConfigServerUnreachable",
    91331: "RetriableRemoteCommandFailure",
    10045600: "InterruptedDueToFCVChange",
}
# No room for what is written, until a person has made some: MongoDB's code; else PostgreSQL's words, below services
# that speak the protocol (its SQLSTATE 53100), and those of the operating system.
FULL: Mapping[int, str] = {14031: "OutOfDiskSpace"}
# The user has lost a right, or its password was changed (8000: Atlas); or the words of PostgreSQL that it takes no
# writes (its SQLSTATE 25006), as Azure's does when its storage is full.
REFUSED: Mapping[int, str] = {13: "Unauthorized", 18: "AuthenticationFailed", 8000: "AtlasError"}
_PASSING = {**OVERLOADED, **TOO_SLOW, **CHANGING}
_NAMES = {**_PASSING, **FULL}
_LABELS = ("RetryableWriteError", "TransientTransactionError", "RetryableError", "SystemOverloadedError")
_UNDONE_LABELS = ("NoWritesPerformed", "SystemOverloadedError")
_WORDS = re.compile(r"TooManyRequests|RequestRateTooLarge|rate is large|rate.limit|ServiceUnavailable", re.IGNORECASE)
_FULL_WORDS = re.compile(r"no space left|could not extend file|disk (is )?full|disk quota", re.IGNORECASE)
_REFUSED_WORDS = re.compile(r"read.only (transaction|mode|replica)|is read.only", re.IGNORECASE)
_ADDED = re.compile(r"\[Errno -?\d+\] | \(configured timeouts: .*")  # to the words of the operating system
_UNSPECIFIC = (None, 0, 1, 8)  # InternalError, UnknownError: then the words count
_RETRY_AFTER = re.compile(r"\bRetryAfterMs\W{1,4}(\d{1,9})", re.IGNORECASE)


def asked_wait(error: Exception) -> float | None:
    """Returns the seconds that the server asks to wait before the same call is made again (0: it names none), or None
    for an error that stays."""
    if not isinstance(error, errors.PyMongoError) or not _passes(error):
        return None
    hints = (_RETRY_AFTER.search(text) for text in _texts(error))
    return max((int(hint[1]) / 1000 for hint in hints if hint), default=0.0)


def was_not_done(error: Exception) -> bool:
    """Whether the server has certainly done nothing, so that even an increment may be repeated."""
    if not isinstance(error, errors.OperationFailure):
        return False
    codes = {code for code, _ in _failures(error)}
    return any(map(error.has_error_label, _UNDONE_LABELS)) or (bool(codes) and codes <= OVERLOADED.keys())


def is_full(error: Exception) -> bool:
    """Whether the server has no room for what is written."""
    return _is_of(error, FULL, _FULL_WORDS)


def is_refused(error: Exception) -> bool:
    """Whether the server refuses this user, or every write."""
    return _is_of(error, REFUSED, _REFUSED_WORDS)


def _is_of(error: Exception, codes: Mapping[int, str], words: re.Pattern[str]) -> bool:
    if not isinstance(error, errors.OperationFailure):
        return False
    return any(code in codes or (code in _UNSPECIFIC and words.search(text)) for code, text in _failures(error))


def is_overloaded(error: Exception) -> bool:
    """Whether the server is asked for too much, rather than changing its primary or starting."""
    codes = {code for code, _ in _failures(error)} if isinstance(error, errors.OperationFailure) else set()
    return not isinstance(error, errors.NotPrimaryError) and not codes & CHANGING.keys()


def passes(failures: Iterable[Mapping[str, Any]]) -> bool:
    """Whether an error of a bulk write passes by itself, and none stays but for keys that are there already."""
    found = [_failure_passes(f.get("code"), str(f.get("errmsg"))) for f in failures if f.get("code") != _DUPLICATE_KEY]
    return bool(found) and all(found)


def reason(error: Exception) -> str:
    """Returns the server's own words, without the documents that the driver adds to them."""
    if isinstance(error, errors.NotPrimaryError) and isinstance(error.details, Mapping):
        return str(error.details.get("errmsg", error))
    if not isinstance(error, errors.OperationFailure):
        return str(error)
    told = []
    for code, text in _failures(error):
        name = _NAMES.get(code or 0)
        told.append(f"{text} ({name}, {code})" if name else f"{text} ({code})" if code else text)
    return "; ".join(dict.fromkeys(told)) or str(error)


def unreachable_reason(servers: Iterable[ServerDescription]) -> str:
    """Returns why no server answers, each with its address, in the words of the operating system."""
    told = []
    for server in servers:
        address = f"{server.address[0]}:{server.address[1]}: "
        told.append(address + _ADDED.sub("", str(server.error or "no answer")).removeprefix(address))
    return "; ".join(told) or "no server has this name"


def is_dns_failure(error: Exception) -> bool:
    """Whether no name server has answered; that a name does not exist is an answer."""
    cause = error.__cause__
    return type(cause).__module__.partition(".")[0] == "dns" and type(cause).__name__ not in ("NXDOMAIN", "NoAnswer")


def _passes(error: errors.PyMongoError) -> bool:
    if isinstance(error, errors.BulkWriteError):
        details = error.details or {}
        return passes([*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())])
    if isinstance(error, errors.ServerSelectionTimeoutError):
        return False  # it has waited already: see MongoConnection
    if isinstance(error, errors.ConnectionFailure) or error.timeout or any(map(error.has_error_label, _LABELS)):
        return True
    return isinstance(error, errors.OperationFailure) and _failure_passes(error.code, str(error))


def _failure_passes(code: object, text: str) -> bool:
    return code in _PASSING or (code in _UNSPECIFIC and _WORDS.search(text) is not None)


def _failures(error: errors.OperationFailure) -> Iterator[tuple[int | None, str]]:
    """The code and the words of each thing that failed."""
    details = error.details or {}
    several = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
    for one in several:
        yield one.get("code"), str(one.get("errmsg"))
    if not several:
        yield error.code, str(details.get("errmsg") or error)


def _texts(error: errors.PyMongoError) -> Iterator[str]:
    yield str(error)
    if isinstance(error, errors.OperationFailure):
        yield from (text for _, text in _failures(error))
