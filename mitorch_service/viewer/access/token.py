"""The token that opens the viewer: whoever has it may read everything and order what the commands order."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from mitorch_service.errors import SettingsError
from mitorch_service.file_access import FileAccess

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
    file = home / _FILE
    if not renew and (known := _stored(file)) is not None:
        return known
    access.make_folder(home)
    token = secrets.token_urlsafe(32)
    beside = home / f".{_FILE}-{secrets.token_hex(8)}"
    with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as target:
        target.write(token)
    try:
        file.hardlink_to(beside)
    except FileExistsError:
        if not renew and (known := _stored(file)) is not None:  # another viewer was faster
            beside.unlink()
            return known
        beside.replace(file)
    else:
        beside.unlink()
    return token


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
