"""The commands `play` and `discovery`: single recorded runs. They print events, without measuring costs."""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from asyncmachine.errors import AsyncMachineError
from asyncmachine.record import Record
from pubsub_sim.errors import CallerError
from pubsub_sim.flags import from_flags
from pubsub_sim.recording.exports import play_and_export, send
from pubsub_sim.recording.options import DiscoveryOptions, PlayOptions
from pubsub_sim.recording.playing import play_recorded
from pubsub_sim.recording.words import how_to_open, in_words, record_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pubsub_sim.recording.playing import Played

INTERRUPTED = 130
AM_DBG_PATIENCE_S = 120.0
"""Time limit in seconds for am-dbg to accept the remaining messages at the end of a run, at about 1,500 messages a second."""


class UnplayableError(CallerError):
    """A run that cannot start, or a record that cannot be stored.

    Attributes:
        reason: the reason, as a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def play_command(arguments: Sequence[str]) -> int:
    """Play a scenario once and print what happened.

    Returns:
        0; 1 if the run failed, or its record is incomplete or could not be sent; 130 if it was interrupted. The record is
        kept in all cases.

    Raises:
        PubsubSimError: an invalid flag or value.
    """
    summary = "Play a scenario once, recorded, and print what happened; costs are not measured."
    options: PlayOptions = from_flags(PlayOptions, "play", summary, arguments)
    with _place_of(options) as path, _as_ours():
        is_told = True
        if options.am_dbg:
            from asyncmachine.export.amdbg_stream import AmDbgTracer

            with AmDbgTracer(options.am_dbg) as stream:
                played = play_recorded(options, path, stream)
                stream.close(timeout_s=AM_DBG_PATIENCE_S)
            is_told = stream.failure is None and not stream.dropped
        else:
            played = play_recorded(options, path)
        with Record.open(path) as record:
            sys.stdout.write(in_words(options, played) + "\n")
            kept = f", kept in {path}" if options.record else ""
            sys.stdout.write(f"{record_in_words(record)}{kept}\n")
            unsent = send(record, options.otlp) if options.otlp else ""
    return _status(played, [unsent], is_told=is_told)


def discovery_command(arguments: Sequence[str]) -> int:
    """Play TestSimpleDiscovery once for each version, write the record in every format, and print how to open each.

    Returns:
        0; 1 if a run failed or a file could not be written; 130 if it was interrupted.

    Raises:
        PubsubSimError: an invalid flag or value.
    """
    summary = "Play TestSimpleDiscovery once for each version and write its record in every format."
    options: DiscoveryOptions = from_flags(DiscoveryOptions, "discovery", summary, arguments)
    runs = {version: options.run_of(version) for version in options.versions}
    with _as_ours():
        left = play_and_export(runs, options.folder)
    status = 0
    for version, (played, problems) in left.items():
        sys.stdout.write(in_words(runs[version], played) + "\n\n")
        status = max(status, _status(played, problems))
    sys.stdout.write(how_to_open([options.folder / version for version in left]) + "\n")
    return status


def _status(played: Played, problems: Sequence[str], *, is_told: bool = True) -> int:
    """Return the exit status. Errors that ended a record or a stream early were logged as warnings."""
    told = [problem for problem in problems if problem]
    for problem in told:
        sys.stderr.write(f"{problem}\n")
    if played.outcome == "interrupted":
        sys.stderr.write("interrupted; the record holds what happened until then\n")
        return INTERRUPTED
    if played.outcome != "ok":
        sys.stderr.write(f"the run failed: {played.error}\n")
    is_well = played.outcome == "ok" and played.is_recorded and is_told and not told
    return 0 if is_well else 1


@contextmanager
def _place_of(options: PlayOptions) -> Iterator[Path]:
    """Yield the path of the record: the requested file, or a temporary one."""
    if options.record:
        yield Path(options.record).expanduser()
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder, "run.sqlite")


@contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except AsyncMachineError as error:
        raise UnplayableError(str(error)) from error
