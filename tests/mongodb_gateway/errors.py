"""The engine's SQLSTATEs as MongoDB's error numbers."""

from typing import Any

import bson

UNKNOWN_ERROR = (8, "UnknownError")
COMMAND_NOT_FOUND = (59, "CommandNotFound")
CURSOR_NOT_FOUND = (43, "CursorNotFound")
NAMESPACE_NOT_FOUND = (26, "NamespaceNotFound")
NAMESPACE_EXISTS = (48, "NamespaceExists")
ILLEGAL_OPERATION = (20, "IllegalOperation")
MAX_TIME_EXPIRED = (50, "MaxTimeMSExpired")
DUPLICATE_KEY = (11000, "DuplicateKey")

# The ones that clients tell apart; from pg_documentdb_gw's published table.
_BY_SQLSTATE = {
    "M0000": (1, "InternalError"),
    "M0001": (2, "BadValue"),
    "M0003": (9, "FailedToParse"),
    "M0004": (14, "TypeMismatch"),
    "M0008": NAMESPACE_NOT_FOUND,
    "M0009": (27, "IndexNotFound"),
    "M000A": (28, "PathNotViable"),
    "M000D": (40, "ConflictingUpdateOperators"),
    "M000E": CURSOR_NOT_FOUND,
    "M000F": NAMESPACE_EXISTS,
    "M000G": (52, "DollarPrefixedFieldName"),
    "M000M": (66, "ImmutableField"),
    "M000N": (67, "CannotCreateIndex"),
    "M000P": (72, "InvalidOptions"),
    "M000Q": (73, "InvalidNamespace"),
    "M000R": (85, "IndexOptionsConflict"),
    "M000S": (86, "IndexKeySpecsConflict"),
    "M000U": (115, "CommandNotSupported"),
    "M00CO": (121, "DocumentValidationFailure"),
    "M001B": (10334, "BSONObjectTooLarge"),
    "M001C": DUPLICATE_KEY,
    "M003A": (17419, "Location17419"),
    "M003B": (17420, "Location17420"),
    "M007U": (40324, "Location40324"),
    "M0088": (40415, "Location40415"),
    "M009H": (51091, "Location51091"),
    "M0099": (51024, "Location51024"),
    "M00BC": (5107200, "Location5107200"),
    "23505": DUPLICATE_KEY,
    "23P01": DUPLICATE_KEY,
    "53100": (14031, "OutOfDiskSpace"),
    "57014": MAX_TIME_EXPIRED,
}


class CommandError(Exception):
    """A command that failed, as the client is told."""

    def __init__(self, error: tuple[int, str], message: str) -> None:
        super().__init__(message)
        self.code, self.name = error
        self.message = message

    def encode(self) -> bytes:
        """The answer's document."""
        return bson.encode({"ok": 0.0, "errmsg": self.message, "code": self.code, "codeName": self.name})


def from_sqlstate(sqlstate: str | None, message: str) -> CommandError:
    """The client's view of an SQL error."""
    error = _BY_SQLSTATE.get(sqlstate or "", UNKNOWN_ERROR)
    if error is UNKNOWN_ERROR:
        message = f"{message} (SQLSTATE {sqlstate})"
    if error is DUPLICATE_KEY:
        message = f"E11000 duplicate key error: {message}"
    return CommandError(error, message)


def from_packed(code: int, message: str) -> CommandError:
    """PostgreSQL packs an SQLSTATE into an int, six bits a character; answers carry it so."""
    return from_sqlstate("".join(chr((code >> 6 * i & 0x3F) + ord("0")) for i in range(5)), message)


def with_mongo_codes(answer: bytes) -> bytes:
    """A write's answer with the packed codes of its writeErrors replaced."""
    if b"\x04writeErrors\0" not in answer:
        return answer
    document: dict[str, Any] = bson.decode(answer)
    for error in document["writeErrors"]:
        told = from_packed(error["code"], error["errmsg"])
        error.update(code=told.code, errmsg=told.message)
    return bson.encode(document)
