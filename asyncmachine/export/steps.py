"""The steps of one transition as a sequence: what was called, which relations were followed, which handlers ran, what changed.

Each state is a lifeline from top to bottom; a relation is an arrow between two of them, everything else stands at the state it is about.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final, NamedTuple

from asyncmachine.export.drawing import FAMILY, Svg
from asyncmachine.export.looks import ACTIVE, COLOURS, LINE, TEXT, WORDS, printable, width_points
from asyncmachine.export.mermaid import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from asyncmachine.record.format import Step

MACHINE: Final = "machine"
"""Stands for a state where a step is about none, such as a handler of any state."""

_HAPPENED: Final = {
    "called": "called",
    "activate": "activated",
    "deactivate": "deactivated",
    "missing": "stays inactive",
    "cancel": "refused",
}
_FILLS: Final = {"called": "#56B4E9", "activate": ACTIVE, "deactivate": "#DDDDDD", "cancel": COLOURS["remove"]}
_ROW = 24.0
_HEAD = 22.0
_MARGIN = 8.0
_GAP = 24.0


class _Line(NamedTuple):
    """A step in words."""

    kind: str
    state: str
    words: str
    other: str
    """Of a relation, the state that is named; else empty."""
    relation: str


def steps_diagram(steps: Sequence[Step], format: str = "svg") -> str:  # noqa: A002  # as for machines
    """Draw the steps of a transition.

    Args:
        steps: In their order, as `Operation.steps` of a record has them.
        format: "svg" (needs no other program; a string that a notebook shows as the picture), "mermaid" or "text".

    Raises:
        ValueError: There is no such format.
    """
    if format not in STEP_FORMATS:
        raise ValueError(f"format has to be one of {', '.join(map(repr, STEP_FORMATS))}, not {format!r}")
    return STEP_FORMATS[format]([_line(step) for step in steps])


def _line(step: Step) -> _Line:
    state = step.state or MACHINE
    if step.kind == "relation":
        return _Line("relation", state, WORDS.get(step.relation, step.relation), step.other, step.relation)
    words = step.handler if step.kind == "handler" else _HAPPENED.get(step.kind, step.kind)
    if step.kind == "cancel" and step.handler:
        words = f"refused by {step.handler}"
    return _Line(step.kind, state, words, "", "")


def _lifelines(lines: Iterable[_Line]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for line in lines for name in (line.state, line.other) if name))


def _text(lines: Sequence[_Line]) -> str:
    """Write a line per step: its number, the state, what happened."""
    if not lines:
        return "no steps\n"
    digits = len(str(len(lines)))
    width = max(len(line.state) for line in lines)
    rows = (
        f"{number:>{digits}}  {line.state:<{width}}  {line.words}{' ' + line.other if line.other else ''}".rstrip()
        for number, line in enumerate(lines, start=1)
    )
    return "\n".join([*rows, ""])


def _mermaid(lines: Sequence[_Line]) -> str:
    names = _lifelines(lines)
    ids = {name: f"s{number}" for number, name in enumerate(names)}
    written = ["sequenceDiagram", *(f"  participant {ids[name]} as {_word(name)}" for name in names)]
    for line in lines:
        if line.other:
            written.append(f"  {ids[line.state]}->>{ids[line.other]}: {_word(line.words)}")
        else:
            written.append(f"  Note over {ids[line.state]}: {_word(line.words)}")
    return "\n".join([*written, ""])


def _word(text: str) -> str:
    """Write a word so that Mermaid takes it for none of its own, such as `end`."""
    return escaped(text) if text.lower() != "end" else f"#{ord(text[0])};{text[1:]}"


def _svg(lines: Sequence[_Line]) -> Svg:
    names = _lifelines(lines)
    places, width = _places(names, lines)
    bottom = _MARGIN + _HEAD + _ROW * len(lines) + _ROW / 2
    parts = [*_lives(places, bottom)]
    for number, line in enumerate(lines):
        y = _MARGIN + _HEAD + _ROW * (number + 0.75)
        parts += _arrow(line, places, y) if line.other else _note(line, places[line.state], y)
    height = bottom + _MARGIN
    return Svg(
        f'<svg role="img" font-family="{FAMILY}" font-size="9" text-anchor="middle" fill="{TEXT}" width="{width:g}pt" '
        f'height="{height:g}pt" viewBox="0 0 {width:g} {height:g}" xmlns="http://www.w3.org/2000/svg">\n'
        f'<title>steps of a transition</title>\n<rect width="{width:g}" height="{height:g}" fill="white"/>\n'
        + "\n".join([*parts, "</svg>", ""])
    )


def _places(names: Sequence[str], lines: Sequence[_Line]) -> tuple[dict[str, float], float]:
    """Give the middle of each lifeline, and the width of the picture."""
    halves = {name: _box(name) / 2 for name in names}
    for line in lines:
        if not line.other:
            halves[line.state] = max(halves[line.state], _box(line.words) / 2)
        elif line.other == line.state:
            halves[line.state] = max(halves[line.state], 24 + width_points(line.words))
    places: dict[str, float] = {}
    right = _MARGIN - _GAP
    for name in names:
        places[name] = round(right + _GAP + halves[name], 1)
        right = places[name] + halves[name]
    return places, round(max(right, _MARGIN) + _MARGIN, 1)


def _box(words: str) -> float:
    """Width of a box with words in it; wide enough for an arrow with a word between two."""
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


def _note(line: _Line, x: float, y: float) -> Iterator[str]:
    half = _box(line.words) / 2
    fill = _FILLS.get(line.kind, "white")
    yield (
        f'<rect x="{x - half:.1f}" y="{y - 8:g}" width="{2 * half:.1f}" height="16" fill="{fill}" stroke="{LINE}" '
        f'stroke-width="0.7"/>'
    )
    colour = ' fill="white"' if line.kind == "cancel" else ""
    yield f'<text x="{x:g}" y="{y + 3.2:g}"{colour}>{_xml(line.words)}</text>'


def _arrow(line: _Line, places: Mapping[str, float], y: float) -> Iterator[str]:
    start, end = places[line.state], places[line.other]
    colour = COLOURS.get(line.relation, LINE)
    if start == end:
        yield f'<path d="M{start:g},{y - 5:g}h18v10h-12" fill="none" stroke="{colour}"/>'
        tip, way, middle, anchor = start, -1, start + 22, ' text-anchor="start"'
        y += 5
    else:
        way = 1 if end > start else -1
        yield f'<path d="M{start:g},{y:g}H{end - 6 * way:g}" stroke="{colour}"/>'
        # the word stands at the arrow's beginning, where no other lifeline can be in between
        tip, middle, anchor = end, start + way * (_GAP / 2 + 14), ""
    yield f'<path d="M{tip:g},{y:g}l{-7 * way},-3.5v7z" fill="{colour}"/>'
    yield (
        f'<text x="{middle:g}" y="{y - 3:g}" font-size="8" fill="{colour}" stroke="white" stroke-width="2" '
        f'paint-order="stroke"{anchor}>{_xml(line.words)}</text>'
    )


def _xml(text: str) -> str:
    return html.escape(printable(text), quote=False)


STEP_FORMATS: Final[dict[str, Callable[[Sequence[_Line]], str]]] = {"svg": _svg, "mermaid": _mermaid, "text": _text}
"""Name of a format -> what writes it."""
