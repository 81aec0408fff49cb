"""The frame of a chart as SVG: axes, grid and labels; and how its points and lines are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mitorch_service.viewer.charts.scales import Scale
from mitorch_service.viewer.pages.templates import clean

Pair = tuple[float, float]


@dataclass(frozen=True)
class Plot:
    """A chart with two axes. Values go in, places in pixels come out."""

    x: Scale
    y: Scale
    width: int = 620
    height: int = 270
    left: int = 62
    bottom: int = 42
    top: int = 10
    right: int = 14

    def at(self, x: float, y: float) -> Pair:
        """Pixels from the top left."""
        inner = self.width - self.left - self.right, self.height - self.top - self.bottom
        return self.left + inner[0] * self.x.place(x), self.top + inner[1] * (1 - self.y.place(y))

    def draw(self, title: str, x_label: str, y_label: str, *parts: Markup) -> Markup:
        """The whole chart; `title` says what it shows, also to those who cannot see it."""
        inside = Markup("").join(parts)
        role = "group" if "<a " in inside else "img"  # a picture has no links for those who cannot see it
        return Markup('<svg class="plot-svg" viewBox="0 0 {} {}" role="{}" aria-label="{}">{}{}</svg>').format(
            self.width, self.height, role, clean(title), self._frame(x_label, y_label), inside
        )

    def points(self, pairs: Iterable[Pair], kind: str) -> Markup:
        """Many points as one path: short strokes with round ends, which take a tenth of the bytes of circles."""
        places = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in (self.at(*pair) for pair in pairs))
        return Markup('<path class="points {}" d="{}"/>').format(kind, places) if places else Markup("")

    def line(self, pairs: Iterable[Pair], kind: str) -> Markup:
        """A line through the pairs."""
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*pair) for pair in pairs))
        return Markup('<polyline class="line {}" points="{}"/>').format(kind, places)

    def steps(self, pairs: Sequence[Pair], kind: str, end: float | None = None) -> Markup:
        """A line that keeps each value until the next one, and the last one until `end`."""
        corners: list[Pair] = []
        for x, y in pairs:
            corners += [(x, corners[-1][1]), (x, y)] if corners else [(x, y)]
        if end is not None and corners:
            corners.append((end, corners[-1][1]))
        return self.line(corners, kind)

    def link(self, x: float, y: float, address: str, title: str, kind: str = "") -> Markup:
        """A point that leads somewhere."""
        across, down = self.at(x, y)
        return Markup(
            '<a href="{}" aria-label="{}"><circle class="dot {}" cx="{}" cy="{}" r="4.5"><title>{}</title></circle></a>'
        ).format(address, clean(title), kind, f"{across:.1f}", f"{down:.1f}", clean(title))

    def _frame(self, x_label: str, y_label: str) -> Markup:
        bottom, right = self.height - self.bottom, self.width - self.right
        parts = []
        for place, label in self.y.ticks():
            y = f"{self.top + (bottom - self.top) * (1 - place):.1f}"
            parts.append(Markup('<line class="rule" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(self.left, right, y, y))
            parts.append(_text(self.left - 7, y, "end", "0.32em", label))
        for place, label in self.x.ticks():
            x = f"{self.left + (right - self.left) * place:.1f}"
            parts.append(
                Markup('<line class="tick" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x, x, bottom, bottom + 4)
            )
            parts.append(_text(x, bottom + 17, "middle", "0", label))
        parts.append(
            Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(self.left, right, bottom, bottom)
        )
        parts.append(_text((self.left + right) / 2, self.height - 6, "middle", "0", x_label, "label"))
        turned = Markup('<text class="label" text-anchor="middle" transform="translate(13 {}) rotate(-90)">{}</text>')
        parts.append(turned.format((self.top + bottom) / 2, clean(y_label)))
        return Markup("").join(parts)


def _text(x: object, y: object, anchor: str, shift: str, text: str, kind: str = "") -> Markup:
    return Markup('<text class="{}" x="{}" y="{}" dy="{}" text-anchor="{}">{}</text>').format(
        kind, x, y, shift, anchor, clean(text)
    )
