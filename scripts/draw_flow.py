"""Draws docs/flow.svg: how a training goes from a file to its weights.

    python -m scripts.draw_flow [FILE]

The picture has a background of its own in light and in dark mode, so that it can be read on any page.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

TARGET = Path(__file__).parents[1] / "docs" / "flow.svg"
WIDTH, HEIGHT = 980, 560

_STYLE = """
  .page { fill: #ffffff } .box { fill: #f3f5f8; stroke: #57606a } .main { fill: #e3edfb; stroke: #1f5fbf }
  text { fill: #1f2328; font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
  .title { font-weight: 600; font-size: 15px } .label { font-size: 13px; fill: #424a53 }
  .code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 13px }
  .arrow { fill: none; stroke: #57606a; stroke-width: 1.6 } .head { fill: #57606a }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .box { fill: #1b222b; stroke: #8b949e } .main { fill: #15294a; stroke: #6ea8fe }
    text { fill: #e6edf3 } .label { fill: #b3bcc6 }
    .arrow { stroke: #9ea7b1 } .head { fill: #9ea7b1 }
  }
"""
_HEAD = (
    '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path class="head" d="M 0 0 L 10 5 L 0 10 z"/></marker>'
)
Point = tuple[int, int]


def draw() -> str:
    """The whole picture as SVG."""
    parts = [
        _box((20, 40), (230, 150), "You", ["misubmit", "midataset", "micontrol cancel, retry, …"], code=True),
        _box((375, 40), (240, 190), "Database", _COLLECTIONS, main=True),
        _box((740, 40), (220, 150), "What you see", ["miquery", "miquery --watch", "micontrol status"], code=True),
        _box((20, 330), (250, 110), "Controller: micontrol", _CONTROLLER, main=True),
        _box((385, 330), (230, 110), "Clusters", ["this machine: slots", "Azure Machine Learning: nodes"]),
        _box((720, 330), (240, 110), "Run: mirun", ["one attempt of one training,", "of ours or your own program"]),
        _box((385, 490), (575, 50), "Artifact store (a folder, or blob storage)", []),
        _arrow([(250, 115), (375, 115)], (312, 84), ["checks, then", "one insert"]),
        _arrow([(615, 115), (740, 115)], (678, 100), ["reads"]),
        _arrow([(145, 330), (145, 265), (395, 265), (395, 230)], (210, 254), ["observes, plans, claims"], both=True),
        _arrow([(270, 385), (385, 385)], (328, 354), ["starts runs", "by name, once"]),
        _arrow([(615, 385), (720, 385)], (668, 370), ["starts"]),
        _arrow([(840, 330), (840, 265), (595, 265), (595, 230)], (770, 254), ["each epoch, its end"]),
        _arrow([(840, 440), (840, 490)], (900, 470), ["weights, logs"]),
    ]
    body = "\n".join(parts)
    title = "<title>How a training goes from a config to its weights</title>"
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
    page = f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="12"/>'
    return f"{opening}\n{title}\n<style>{_STYLE}</style>\n<defs>{_HEAD}</defs>\n{page}\n{body}\n</svg>\n"


_COLLECTIONS = [
    "trainings: the queue",
    "jobs: searches",
    "training_results: curves",
    "datasets: name and version",
    "SQLite, or MongoDB for a team",
]
_CONTROLLER = ["a pass every few minutes;", "keeps nothing in memory"]


def _box(
    corner: Point, size: Point, title: str, lines: Sequence[str], *, main: bool = False, code: bool = False
) -> str:
    (x, y), (width, height) = corner, size
    middle = x + width // 2
    parts = [
        f'<rect class="{"main" if main else "box"}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>',
        _text((middle, y + 30), title, "title"),
    ]
    kind = "code" if code else ""
    parts += [_text((middle, y + 58 + 26 * number), line, kind) for number, line in enumerate(lines)]
    return "\n".join(parts)


def _arrow(points: Sequence[Point], label: Point, lines: Sequence[str], *, both: bool = False) -> str:
    path = "M " + " L ".join(f"{x} {y}" for x, y in points)
    start = ' marker-start="url(#head)"' if both else ""
    arrow = f'<path class="arrow" d="{path}" marker-end="url(#head)"{start}/>'
    x, y = label
    return "\n".join([arrow, *(_text((x, y + 17 * number), line, "label") for number, line in enumerate(lines))])


def _text(at: Point, text: str, kind: str) -> str:
    kind = f' class="{kind}"' if kind else ""
    return f'<text{kind} x="{at[0]}" y="{at[1]}" text-anchor="middle">{escape(text)}</text>'


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET).write_text(draw(), "utf-8")
