"""One run of a sweep, played again and recorded, and how its record is opened."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from asyncmachine.errors import AsyncMachineError
from pubsub_sim.errors import RunError
from pubsub_sim.simulator.command import SimulateOptions, UnusableFileError, simulate

if TYPE_CHECKING:
    from pubsub_sim.simulator.options import SimOptions

OPENED = (
    ("what it holds", "python -m asyncmachine record show {file}"),
    ("what a refused state was refused by", "python -m asyncmachine record blocked {file} JoiningTopic"),
    ("Perfetto", "python -m asyncmachine record export --to perfetto {file}"),
    ("Jaeger", "python -m asyncmachine record export --to jaeger {file}"),
    ("OpenTelemetry", "python -m asyncmachine record export --to otlp {file}"),
    ("am-dbg", "python -m asyncmachine record export --to am-dbg {file}"),
)
"""What a record is opened with, and the command."""


class DifferentRunError(RunError):
    """A run that was played again was not the same.

    Attributes:
        expected: the digest it had.
        digest: the digest it has.
    """

    def __init__(self, expected: str, digest: str) -> None:
        super().__init__(expected, digest)
        self.expected = expected
        self.digest = digest

    def __str__(self) -> str:
        return f"the recorded run has the digest {self.digest[:12]}, and the stored one {self.expected[:12]}; play the sweep again"


def record_run(run: SimOptions, file: str, digest: str = "") -> str:
    """Play a run with a record of all its machines.

    Args:
        run: what to play.
        file: of the record.
        digest: that the run had before; "" if it is not known.

    Returns:
        In Markdown what was recorded, and the commands that open it.

    Raises:
        DifferentRunError: it was another run.
        UnusableFileError: the record cannot be made, or is not whole.
    """
    try:
        outcome = simulate(SimulateOptions(**asdict(run), live=False, record=file))
    except AsyncMachineError as error:
        raise UnusableFileError(str(error)) from error
    if outcome.problems:
        raise UnusableFileError(outcome.problems[0])
    if digest and outcome.result.digest != digest:
        raise DifferentRunError(digest, outcome.result.digest)
    lines = [f"Seed {run.seed} of `{run.version}`, {outcome.meter.transitions.total():,} transitions, is recorded:", ""]
    lines += [f"- {what}: `{command.format(file=file)}`" for what, command in OPENED]
    return "\n".join(lines)
