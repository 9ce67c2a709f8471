"""One message as a sequence diagram: a lifeline per host, an arrow per RPC, a note per call and delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asyncmachine.export.sequence import Row, sequence_diagram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pubsub_sim.scenarios.one_message import Step

_FILLS: Final = {"call": "#56B4E9", "delivery": "#F0E442"}


def message_sequence(steps: Sequence[Step], format: str = "svg") -> str:  # noqa: A002  # as for machines
    """Draw the steps of one message that both versions share, without receipts of RPCs.

    Args:
        steps: The steps in order, from `one_message`.
        format: "svg" (a string that a notebook displays as a picture), "mermaid" or "text".

    Raises:
        ValueError: Unknown format.
    """
    hosts = [_name(number) for number in sorted({step.host for step in steps})]
    rows = [_row(step) for step in steps if step.label]
    return sequence_diagram(rows, format, title="one message from its publisher to all other hosts", lifelines=hosts)


def _row(step: Step) -> Row:
    if step.to is not None:
        return Row(_name(step.host), step.label, _name(step.to))
    return Row(_name(step.host), step.label, colour=_FILLS.get(step.kind, ""))


def _name(host: int) -> str:
    return f"host {host}"
