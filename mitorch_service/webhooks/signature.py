"""Signs what is posted, as the specification Standard Webhooks says (standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac


def signature(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """Returns ``v1,`` and the HMAC-SHA256 of ``id.timestamp.body`` in base64; `timestamp`: seconds since 1970."""
    signed = b".".join((id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
