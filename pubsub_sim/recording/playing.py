"""A scenario played once with a recorder; the record includes the outcome and any error."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

from asyncmachine.record import Recorder
from pubsub_sim.errors import PubsubSimError
from pubsub_sim.net.clock import clock_of
from pubsub_sim.recording.scenarios import SCENARIOS
from pubsub_sim.recording.worlds import WorldRecorder
from pubsub_sim.world.running import run

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from asyncmachine import Tracer
    from asyncmachine.record.format import Level
    from pubsub_sim.recording.options import PlayOptions

SERVICE = "ps"
"""Name under which tracing backends show the runs, the reference's."""

_NOT_THE_RUNS = ("record", "otlp", "am_dbg")


@dataclass(frozen=True)
class Played:
    """The result of a run.

    Attributes:
        outcome: "ok", "failed" or "interrupted".
        error: the error as a sentence; empty if there was none.
        deliveries: messages read from subscriptions, if successful.
        happened: numbers of events by phase and name; phase "" for events outside phases.
        is_recorded: whether the record is complete; if not, a warning was logged.
    """

    outcome: str
    error: str
    deliveries: int
    happened: Mapping[str, Counter[str]]
    is_recorded: bool


def play_recorded(options: PlayOptions, path: Path, live: Tracer | None = None) -> Played:
    """Play a scenario and record it. Errors of the run or the recorder are not raised.

    Args:
        options: the run.
        path: file of the record; an existing record is replaced.
        live: another tracer of all machines, or None.

    Raises:
        asyncmachine.record.RecordError: the file cannot be created.
    """
    time = _LoopTime()
    level = cast("Level", options.level)
    facts = {name: value for name, value in asdict(options).items() if name not in _NOT_THE_RUNS}
    recorder = Recorder(
        path,
        level,
        log=options.log,
        loop_time_ns=time.now_ns if options.clock == "virtual" else None,
        attributes=facts | {"service": SERVICE},
    )
    with recorder:
        scene = WorldRecorder(recorder, level, options.scenario, live, log=options.log)
        deliveries, outcome, error = 0, "ok", ""

        async def main() -> int:
            time.now_ns_of_loop = clock_of(asyncio.get_running_loop()).now_ns
            return await SCENARIOS[options.scenario].play(options, scene.phase, scene.make_world)

        try:
            deliveries = run(main(), clock=options.clock, seed=options.seed)
        except KeyboardInterrupt:
            outcome, error = "interrupted", "the run was interrupted"
        except Exception as problem:  # any error is part of the record
            outcome, error = "failed", sentence_of(problem)
        scene.close(outcome, error)
        recorder.note_run(outcome=outcome, error=error, deliveries=deliveries)
    return Played(outcome, error, deliveries, scene.happened, recorder.failure is None)


def sentence_of(error: BaseException) -> str:
    """Return an error as one sentence, with its class unless it is an error of this package."""
    text = " ".join(str(error).split())
    if isinstance(error, PubsubSimError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class _LoopTime:
    """The time of a loop that is created after the recorder.

    Attributes:
        now_ns_of_loop: returns the time, once the loop runs.
    """

    def __init__(self) -> None:
        self.now_ns_of_loop: Callable[[], int] = lambda: 0

    def now_ns(self) -> int:
        """Return the loop's time; 0 before it runs."""
        return self.now_ns_of_loop()
