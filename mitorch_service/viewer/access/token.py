"""The token that opens the viewer: whoever has it may read everything and order what the commands order."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from mitorch_service.errors import SettingsError
from mitorch_service.file_access import FileAccess
from mitorch_service.known_secrets import Secret, know

VARIABLE = "MITORCH_VIEWER_TOKEN"
_FILE = "viewer-token"
_SHORTEST = 16
_FORM = re.compile(rf"[A-Za-z0-9._~-]{{{_SHORTEST},200}}")


def read_token(home: Path, access: FileAccess, given: str | None, renew: bool = False) -> str:
    """Returns the token: the one `given` by the setting, else the one of this home, which is made if it is missing, so
    that links and cookies outlive the server. Raises SettingsError for a setting that can be guessed or is no part of
    a URL."""
    if given is not None:
        if not _FORM.fullmatch(given):
            remedy = f"Give {_SHORTEST} to 200 letters, digits and . _ ~ -, or leave it out."
            raise SettingsError(VARIABLE, "cannot be used as a token", remedy)
        return given
    try:
        token = _own_token(home, access, renew)
    except OSError as error:
        remedy = f"Make it readable and writable for you, or set {VARIABLE}."
        raise SettingsError(VARIABLE, f"{home / _FILE}: {error.strerror}", remedy) from error
    know([Secret(token)])
    return token


def _own_token(home: Path, access: FileAccess, renew: bool) -> str:
    """The token in the file of this home, which is made whole before it has its name. Raises OSError."""
    file = home / _FILE
    if not renew and (known := _stored(file)) is not None:
        return known
    access.make_folder(home)
    token = secrets.token_urlsafe(32)
    beside = home / f".{_FILE}-{secrets.token_hex(8)}"
    with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as target:
        target.write(token)
    try:
        if renew:
            beside.replace(file)
            return token
        with suppress(FileExistsError):
            file.hardlink_to(beside)
        known = _stored(file)  # another viewer's, if that was faster
        if known is None:
            beside.replace(file)
        return known or token
    finally:
        beside.unlink(missing_ok=True)


def _stored(file: Path) -> str | None:
    try:
        text = file.read_text().strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return text if _FORM.fullmatch(text) else None


def sign(token: str, purpose: str, text: str) -> str:
    """Returns the signature (HMAC-SHA256, hexadecimal) of a text for one purpose."""
    return hmac.new(token.encode(), f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()


def is_same(one: str, other: str) -> bool:
    """Compares two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))
