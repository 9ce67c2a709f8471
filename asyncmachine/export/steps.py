"""The steps of one transition as a sequence: what was called, which relations were followed, which handlers ran, what changed.

Each state is a lifeline from top to bottom; a relation is an arrow between two of them, everything else stands at the state it is about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asyncmachine.export.looks import ACTIVE, COLOURS, WORDS
from asyncmachine.export.sequence import Row, sequence_diagram

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def steps_diagram(steps: Sequence[Step], format: str = "svg") -> str:  # noqa: A002  # as for machines
    """Draw the steps of a transition.

    Args:
        steps: In their order, as `Operation.steps` of a record has them.
        format: "svg" (needs no other program; a string that a notebook shows as the picture), "mermaid" or "text".

    Raises:
        ValueError: There is no such format.
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
