"""The steps of one transition as a sequence diagram: called states, relations, handlers, changes.

Each state is a lifeline; a relation is an arrow between two lifelines, every other step a note at its state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asyncmachine.export.looks import ACTIVE, COLOURS, WORDS
from asyncmachine.export.sequence import Row, sequence_diagram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncmachine.record.format import Step

MACHINE: Final = "machine"
"""Lifeline of steps without a state, such as a handler of any state."""

_HAPPENED: Final = {
    "called": "called",
    "activate": "activated",
    "deactivate": "deactivated",
    "missing": "stays inactive",
    "cancel": "refused",
}
_FILLS: Final = {"called": "#56B4E9", "activate": ACTIVE, "deactivate": "#DDDDDD", "cancel": COLOURS["remove"]}


def steps_diagram(steps: Sequence[Step], format: str = "svg") -> str:  # noqa: A002  # as for machines
    """Draw the steps of a transition.

    Args:
        steps: The steps in order, from `Operation.steps` of a record.
        format: "svg" (needs no drawing program; a string that a notebook displays as a picture), "mermaid" or "text".

    Raises:
        ValueError: Unknown format.
    """
    return sequence_diagram([_row(step) for step in steps], format, title="steps of a transition")


def _row(step: Step) -> Row:
    state = step.state or MACHINE
    if step.kind == "relation":
        return Row(state, WORDS.get(step.relation, step.relation), step.other, COLOURS.get(step.relation, ""))
    words = step.handler if step.kind == "handler" else _HAPPENED.get(step.kind, step.kind)
    is_refused = step.kind == "cancel"
    if is_refused and step.handler:
        words = f"refused by {step.handler}"
    return Row(state, words, colour=_FILLS.get(step.kind, ""), is_dark=is_refused)
