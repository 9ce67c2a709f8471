"""Sequence diagrams: lifelines from left to right, and rows from top to bottom. A row is an arrow between two lifelines, or a note.

`steps` uses them for the steps of a transition. No drawing program is needed.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final, NamedTuple

from asyncmachine.export.drawing import FAMILY, Svg
from asyncmachine.export.looks import LINE, TEXT, printable, width_points
from asyncmachine.export.mermaid import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_ROW = 24.0
_HEAD = 22.0
_MARGIN = 8.0
_GAP = 24.0
_LABEL = 0.8
"""Font size of arrow labels relative to `EM_POINTS`."""


class Row(NamedTuple):
    """One row of a sequence diagram."""

    at: str
    """The lifeline of the note, or the start of the arrow."""
    words: str
    """Text of the note or label of the arrow."""
    to: str = ""
    """The target lifeline of an arrow; empty for a note."""
    colour: str = ""
    """Colour of the arrow or filling of the note; empty for the default."""
    is_dark: bool = False
    """Whether the filling is dark, so that the text must be white."""


def sequence_diagram(
    rows: Sequence[Row],
    format: str = "svg",  # noqa: A002  # the usual name
    *,
    title: str = "",
    lifelines: Iterable[str] = (),
) -> str:
    """Draw a sequence diagram.

    Args:
        rows: The rows, in order.
        format: "svg" (a string that a notebook displays as a picture), "mermaid" or "text".
        title: Alternative text of the picture; SVG only.
        lifelines: Names from left to right; further ones follow in order of appearance.

    Raises:
        ValueError: Unknown format.
    """
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(map(repr, FORMATS))}, got {format!r}")
    names = tuple(dict.fromkeys((*lifelines, *(name for row in rows for name in (row.at, row.to) if name))))
    return FORMATS[format](rows, names, title)


def _text(rows: Sequence[Row], _names: Sequence[str], _title: str) -> str:
    """Return a line per row: its number, the lifeline and the text."""
    if not rows:
        return "no steps\n"
    digits = len(str(len(rows)))
    width = max(len(row.at) for row in rows)
    lines = (
        f"{number:>{digits}}  {row.at:<{width}}  {row.words}{' ' + row.to if row.to else ''}".rstrip()
        for number, row in enumerate(rows, start=1)
    )
    return "\n".join([*lines, ""])


def _mermaid(rows: Sequence[Row], names: Sequence[str], _title: str) -> str:
    ids = {name: f"s{number}" for number, name in enumerate(names)}
    lines = ["sequenceDiagram", *(f"  participant {ids[name]} as {_word(name)}" for name in names)]
    for row in rows:
        if row.to:
            lines.append(f"  {ids[row.at]}->>{ids[row.to]}: {_word(row.words)}")
        else:
            lines.append(f"  Note over {ids[row.at]}: {_word(row.words)}")
    return "\n".join([*lines, ""])


def _word(text: str) -> str:
    """Escape a word that Mermaid would interpret as a keyword, such as `end`."""
    return escaped(text) if text.lower() != "end" else f"#{ord(text[0])};{text[1:]}"


def _svg(rows: Sequence[Row], names: Sequence[str], title: str) -> Svg:
    places, width = _places(names, rows)
    bottom = _MARGIN + _HEAD + _ROW * len(rows) + _ROW / 2
    parts = [*_lives(places, bottom)]
    for number, row in enumerate(rows):
        y = _MARGIN + _HEAD + _ROW * (number + 0.75)
        parts += _arrow(row, places, y) if row.to else _note(row, places[row.at], y)
    height = bottom + _MARGIN
    return Svg(
        f'<svg role="img" font-family="{FAMILY}" font-size="9" text-anchor="middle" fill="{TEXT}" width="{width:g}pt" '
        f'height="{height:g}pt" viewBox="0 0 {width:g} {height:g}" xmlns="http://www.w3.org/2000/svg">\n'
        f'<title>{_xml(title)}</title>\n<rect width="{width:g}" height="{height:g}" fill="white"/>\n'
        + "\n".join([*parts, "</svg>", ""])
    )


def _places(names: Sequence[str], rows: Sequence[Row]) -> tuple[dict[str, float], float]:
    """Return the centre of each lifeline, and the width of the picture."""
    halves = {name: _box(name) / 2 for name in names}
    for row in rows:
        if not row.to:
            halves[row.at] = max(halves[row.at], _box(row.words) / 2)
        elif row.to == row.at:
            halves[row.at] = max(halves[row.at], 24 + width_points(row.words))
        else:  # its label is next to the start of the arrow, before the next lifeline
            halves[row.at] = max(halves[row.at], width_points(row.words) * _LABEL - _GAP)
    places: dict[str, float] = {}
    right = _MARGIN - _GAP
    for name in names:
        places[name] = round(right + _GAP + halves[name], 1)
        right = places[name] + halves[name]
    return places, round(max(right, _MARGIN) + _MARGIN, 1)


def _box(words: str) -> float:
    """Return the width of a box of text; boxes leave room for a labelled arrow in between."""
    return max(width_points(words) * 0.9 + 14, 60)


def _lives(places: Mapping[str, float], bottom: float) -> Iterator[str]:
    for name, x in places.items():
        yield f'<path d="M{x:g},{_MARGIN + _HEAD:g}V{bottom:g}" stroke="#BBBBBB" stroke-dasharray="3,3"/>'
        half = _box(name) / 2
        yield (
            f'<rect x="{x - half:.1f}" y="{_MARGIN:g}" width="{2 * half:.1f}" height="{_HEAD:g}" rx="6" fill="white" '
            f'stroke="{LINE}"/>'
        )
        yield f'<text x="{x:g}" y="{_MARGIN + _HEAD / 2 + 3.2:g}">{_xml(name)}</text>'


def _note(row: Row, x: float, y: float) -> Iterator[str]:
    half = _box(row.words) / 2
    yield (
        f'<rect x="{x - half:.1f}" y="{y - 8:g}" width="{2 * half:.1f}" height="16" fill="{row.colour or "white"}" '
        f'stroke="{LINE}" stroke-width="0.7"/>'
    )
    colour = ' fill="white"' if row.is_dark else ""
    yield f'<text x="{x:g}" y="{y + 3.2:g}"{colour}>{_xml(row.words)}</text>'


def _arrow(row: Row, places: Mapping[str, float], y: float) -> Iterator[str]:
    start, end = places[row.at], places[row.to]
    colour = row.colour or LINE
    if start == end:
        yield f'<path d="M{start:g},{y - 5:g}h18v10h-12" fill="none" stroke="{colour}"/>'
        tip, way, begin, anchor = start, -1, start + 22, "start"
        y += 5
    else:
        way = 1 if end > start else -1
        yield f'<path d="M{start:g},{y:g}H{end - 6 * way:g}" stroke="{colour}"/>'
        # the label is at the start of the arrow, where no lifeline crosses it
        tip, begin, anchor = end, start + 8 * way, "start" if way == 1 else "end"
    yield f'<path d="M{tip:g},{y:g}l{-7 * way},-3.5v7z" fill="{colour}"/>'
    yield (
        f'<text x="{begin:g}" y="{y - 3:g}" font-size="8" fill="{colour}" stroke="white" stroke-width="2" '
        f'paint-order="stroke" text-anchor="{anchor}">{_xml(row.words)}</text>'
    )


def _xml(text: str) -> str:
    return html.escape(printable(text), quote=False)


FORMATS: Final[dict[str, Callable[[Sequence[Row], Sequence[str], str], str]]] = {
    "svg": _svg,
    "mermaid": _mermaid,
    "text": _text,
}
"""Writer by name of format."""
