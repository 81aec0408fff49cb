"""Renders pages: the templates, and how they write values."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import cast

import jinja2
from fastapi import Request
from markupsafe import Markup
from starlette.responses import HTMLResponse

from mitorch_service.models.secrets import mask_secrets
from mitorch_service.viewer.access.gate import Policy
from mitorch_service.wording.elapsed import duration_text

_FOLDER = Path(__file__).parents[1]
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
THEMES = ("light", "dark")


def render(request: Request, template: str, code: int = 200, **values: object) -> HTMLResponse:
    """Renders a page. Texts are escaped, masked and free of control characters, whatever a document holds."""
    policy: Policy = request.app.state.policy
    theme = request.cookies.get("mitorch_theme", "")
    html = (
        _environment()
        .get_template(template)
        .render(
            **values,
            request=request,
            now=request.app.state.context.clock(),
            may_change=getattr(request.state, "may_change", False),
            shared=getattr(request.state, "shared", False),
            read_only=policy.read_only,
            theme=theme if theme in THEMES else "",
            version=version("mitorch-service"),
        )
    )
    return HTMLResponse(html, code)


def macros(template: str) -> Mapping[str, Callable[..., Markup]]:
    """The macros of a template by name: parts of a page that are sent one by one, too."""
    return cast(Mapping[str, Callable[..., Markup]], vars(_environment().get_template(template).module))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {"ago": ago, "exact": exact, "duration": _duration, "number": number, "short": _short}
    environment.filters |= {"roughly": roughly, "bytes": size_text}
    environment.globals |= {"static": static_url, "icon": icon}
    return environment


def _finalize(value: object) -> object:
    """Masks and cleans every text that a template prints; what is None prints nothing."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean(value)
    return value


def clean(text: str) -> str:
    """Masks credentials; shows control characters, and those that change the direction of writing, as a box."""
    return _CONTROLS.sub("\ufffd", mask_secrets(text))


@cache
def static_url(path: str) -> str:
    """The address of a file of ours: another one when its content changes, so that browsers keep it for ever."""
    content = (_FOLDER / "static" / path).read_bytes()
    return f"/static/{path}?v={hashlib.sha256(content).hexdigest()[:10]}"


@cache
def icon(name: str) -> Markup:
    """An icon as SVG, from `static/icons`."""
    return Markup((_FOLDER / "static" / "icons" / f"{name}.svg").read_text())  # noqa: S704 (a file of ours)


def exact(time: datetime | None) -> str:
    """A time to the second, in UTC."""
    return "" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(time: datetime | None, now: datetime) -> Markup:
    """A time as people say it, with the exact one on hover; the page's script keeps it true."""
    if time is None:
        return Markup("")
    passed = now - time
    words = f"in {duration_text(-passed)}" if passed < timedelta(seconds=-1) else f"{duration_text(passed)} ago"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(time.isoformat(), exact(time), words)


def _duration(span: timedelta | float | None) -> str:
    if span is None:
        return ""
    return duration_text(span if isinstance(span, timedelta) else timedelta(seconds=span)) or ""


def roughly(span: timedelta) -> str:
    """A length of time as well as a forecast knows it: to the minute, then to five, then to half an hour."""
    minutes = span / timedelta(minutes=1)
    if minutes < 2:
        return "2 min"
    step = 1 if minutes < 20 else 5 if minutes < 180 else 30
    return duration_text(timedelta(minutes=step * round(minutes / step))) or ""


def number(value: object, digits: int = 4) -> str:
    """A figure with so many significant digits, thousands apart; other values as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if 10**digits <= size < 1e6:  # all digits before the point, where the format would write an exponent
        return f"{value:,.0f}"
    return f"{value:.{digits - 1}e}" if size and (size < 1e-3 or size >= 1e6) else f"{value:,.{digits}g}"


def size_text(size: int) -> str:
    """A number of bytes with three digits at most, in powers of ten: ``512 B``, ``1.4 kB``, ``27 MB``."""
    if size < 1000:
        return f"{size} B"
    value, unit = next(
        (size / factor, unit) for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if size >= factor
    )
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def _short(id: str | None) -> str:
    return "" if id is None else id[:8]
