"""Boxes, arrows and texts of the documents' pictures, as SVG.

A picture has a background of its own in light and in dark mode, so that it can be read on any page.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Point = tuple[int, int]

_STYLE = """
  .page { fill: #ffffff } .box { fill: #f3f5f8; stroke: #57606a } .main { fill: #e3edfb; stroke: #1f5fbf }
  .frame { fill: none; stroke: #57606a; stroke-dasharray: 5 4 }
  text { fill: #1f2328; font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
  .title { font-weight: 600; font-size: 15px } .label { font-size: 13px; fill: #424a53 }
  .code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 13px }
  .arrow { fill: none; stroke: #57606a; stroke-width: 1.6 } .head { fill: #57606a }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .box { fill: #1b222b; stroke: #8b949e } .main { fill: #15294a; stroke: #6ea8fe }
    .frame { stroke: #8b949e }
    text { fill: #e6edf3 } .label { fill: #b3bcc6 }
    .arrow { stroke: #9ea7b1 } .head { fill: #9ea7b1 }
  }
"""
_HEAD = (
    '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path class="head" d="M 0 0 L 10 5 L 0 10 z"/></marker>'
)


def picture(title: str, size: Point, parts: Sequence[str]) -> str:
    """A whole SVG file. `size`: width and height."""
    width, height = size
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    page = f'<rect class="page" width="{width}" height="{height}" rx="12"/>'
    head = f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<defs>{_HEAD}</defs>"
    return "\n".join([opening, head, page, *parts, "</svg>", ""])


def box(corner: Point, size: Point, title: str, lines: Sequence[str] = (), kind: str = "box", text: str = "") -> str:
    """A rectangle with a title and lines below it. `kind`: its class; `text`: that of the lines."""
    (x, y), (width, height) = corner, size
    middle = x + width // 2
    parts = [
        f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>',
        _text((middle, y + 30), title, "title"),
    ]
    parts += [_text((middle, y + 58 + 26 * number), line, text) for number, line in enumerate(lines)]
    return "\n".join(parts)


def frame(corner: Point, size: Point) -> str:
    """A dashed rectangle around what belongs together."""
    (x, y), (width, height) = corner, size
    return f'<rect class="frame" x="{x}" y="{y}" width="{width}" height="{height}" rx="12"/>'


def arrow(points: Sequence[Point], label: Point, lines: Sequence[str], *, both: bool = False) -> str:
    """A line with a head at its end, or `both`, and lines of text around the middle `label`."""
    path = "M " + " L ".join(f"{x} {y}" for x, y in points)
    start = ' marker-start="url(#head)"' if both else ""
    line = f'<path class="arrow" d="{path}" marker-end="url(#head)"{start}/>'
    x, y = label
    return "\n".join([line, *(_text((x, y + 17 * number), text, "label") for number, text in enumerate(lines))])


def _text(at: Point, text: str, kind: str) -> str:
    kind = f' class="{kind}"' if kind else ""
    return f'<text{kind} x="{at[0]}" y="{at[1]}" text-anchor="middle">{escape(text)}</text>'
