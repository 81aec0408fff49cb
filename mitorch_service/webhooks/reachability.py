"""Checks that a webhook's server can be reached, without sending it anything."""

from __future__ import annotations

import http.client
import urllib.request
from urllib.parse import urlsplit

from mitorch_service.webhook_settings.webhook import Webhook
from mitorch_service.webhooks.post import words


def unreachable(webhook: Webhook, seconds: float) -> str | None:
    """Returns why its host cannot be reached (the name, the network, the certificate); None if it can be, or if a proxy
    stands between, which only a message would show."""
    parts = urlsplit(webhook.url.get_secret_value())
    host = parts.hostname or ""
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return None
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, parts.port, timeout=seconds)
    try:
        connection.connect()
    except OSError as error:
        return words(error)
    finally:
        connection.close()
    return None
