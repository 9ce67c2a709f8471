"""The style of diagrams, independent of their format: colours, labels of arrows and the key."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncmachine.export.relation_graph import RelationGraph

# Okabe and Ito, "Color universal design" (2008), as in the reports: distinguishable with every kind of colour vision.
COLOURS: Final = {"require": "#0072B2", "add": "#009E73", "remove": "#D55E00", "after": "#666666"}
ACTIVE: Final = "#F0E442"
LINE: Final = "#444444"
TEXT: Final = "#222222"
WORDS: Final = {"require": "requires", "add": "adds", "remove": "removes", "after": "after"}
MUTUAL: Final = "exclude each other"
BOX: Final = "at most one of these"
LOOSE: Final = "no relations"
FONT: Final = "DejaVu Sans"
EM_POINTS: Final = 10
"""Font size of states."""


def key(graph: RelationGraph) -> tuple[str, ...]:
    """Return the key of the fillings and outlines that occur, a line each."""
    occurs = {
        "filled: active": any(state.is_active for state in graph.states),
        "dashed outline: auto, begins by itself": any(state.is_auto for state in graph.states),
        "thick outline: multi, can begin again while active": any(state.is_multi for state in graph.states),
    }
    return tuple(words for words, does in occurs.items() if does)


def printable(name: str) -> str:
    """Replace unprintable characters, such as line breaks and lone surrogates."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in name)


def columns_of(names: tuple[str, ...], *, points: float = 520) -> int:
    """Return the number of columns of a table of names such that it fits the width of a page.

    Args:
        names: The names, at least one.
        points: Width of the page, for a font of 10 points.
    """
    width = 14 + 6 * max(map(len, names))
    square = next(side for side in range(1, len(names) + 1) if side * side >= len(names))
    return max(1, min(square, int(points / width)))


def width_points(text: str) -> float:
    """Estimate the width of text at `EM_POINTS`, also for scripts that a drawing program may lack."""
    return sum(1.0 if unicodedata.east_asian_width(sign) in "WF" else 0.64 for sign in text) * EM_POINTS
