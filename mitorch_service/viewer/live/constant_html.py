"""The part of a page's HTML that does not change by itself."""

from __future__ import annotations

import re

_RELATIVE = re.compile(r"(<time [^>]*>)[^<]*")  # the page's script keeps these words true


def constant(html: str) -> str:
    """The HTML without the words for relative times."""
    return _RELATIVE.sub(r"\1", html)
