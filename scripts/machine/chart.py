# SPDX-License-Identifier: GPL-2.0
"""A bar chart as SVG: for each row one bar in C and one in Rust."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as Xml

_NAMES, _BARS, _NUMBERS = 260, 420, 60
_BAR, _GAP, _HEADING, _MARGIN = 12, 10, 28, 16
_COLORS = {"C": "#5b7f95", "Rust": "#b7410e"}
_FONT = {"font-family": "sans-serif", "font-size": "12", "fill": "#222"}


@dataclass(frozen=True)
class Row:
    """What is counted, and how often on each side. None where nobody counted."""

    name: str
    c: int | None
    rust: int | None


@dataclass(frozen=True)
class Section:
    """Rows that belong together."""

    heading: str
    rows: Sequence[Row]


def draw(title: str, sections: Sequence[Section]) -> str:
    """The chart. Bars are as long as the square root of their number, so that 4 and 400 can both
    be seen; the number stands beside each."""
    most = max((n for s in sections for row in s.rows for n in (row.c, row.rust) if n), default=1)
    svg = Xml.Element("svg", xmlns="http://www.w3.org/2000/svg")
    _text(svg, _MARGIN, _MARGIN + 8, title, size=15, weight="bold")
    y = _MARGIN + 20
    x = _MARGIN
    for side, color in _COLORS.items():
        _bar(svg, x, y, 12, color)
        _text(svg, x + 18, y + 10, side)
        x += 70
    _text(svg, x, y + 10, "bar length: square root of the number")
    y += _HEADING
    for section in sections:
        y += _HEADING - 8
        _text(svg, _MARGIN, y, section.heading, weight="bold")
        y += 10
        for row in section.rows:
            _text(svg, _MARGIN, y + _BAR + 4, row.name)
            for number, color in ((row.c, _COLORS["C"]), (row.rust, _COLORS["Rust"])):
                length = _BARS * math.sqrt((number or 0) / most)
                _bar(svg, _NAMES, y, length, color)
                shown = "not counted" if number is None else str(number)
                _text(svg, _NAMES + length + 6, y + 10, shown, size=11)
                y += _BAR
            y += _GAP
    width, height = _NAMES + _BARS + _NUMBERS + _MARGIN, y + _MARGIN
    svg.set("viewBox", f"0 0 {width} {height}")
    svg.set("width", str(width))
    svg.set("height", str(height))
    background = Xml.Element("rect", width="100%", height="100%", fill="#fff")
    svg.insert(0, background)
    Xml.indent(svg)
    return Xml.tostring(svg, encoding="unicode") + "\n"


def _text(
    svg: Xml.Element, x: float, y: float, text: str, size: int = 12, weight: str = "normal"
) -> None:
    style = _FONT | {"font-size": str(size), "font-weight": weight}
    Xml.SubElement(svg, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}"} | style).text = text


def _bar(svg: Xml.Element, x: float, y: float, length: float, color: str) -> None:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{length:.1f}"}
    Xml.SubElement(svg, "rect", place | {"height": str(_BAR - 1), "fill": color})
