"""A scenario played once under a recorder, whatever it ends with: the record tells how it ended and why."""

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
    """What became of a run.

    Attributes:
        outcome: "ok", "failed" or "interrupted".
        error: what went wrong, in a sentence; empty if nothing did.
        deliveries: messages read from subscriptions, if it is ok.
        happened: phase -> name of what happened -> how often; under "" what was in none.
        is_recorded: whether the record is whole; if not, a warning told why.
    """

    outcome: str
    error: str
    deliveries: int
    happened: Mapping[str, Counter[str]]
    is_recorded: bool


def play_recorded(options: PlayOptions, path: Path, live: Tracer | None = None) -> Played:
    """Play a scenario and record it. Neither an error in the run nor one of the recorder ends it by an exception.

    Args:
        options: what is played.
        path: file of the record; an earlier record there is replaced.
        live: another tracer that all machines are told to, or None.

    Raises:
        asyncmachine.record.RecordError: the file cannot be made.
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
        except Exception as problem:  # whatever the run ended with is what the record is about
            outcome, error = "failed", sentence_of(problem)
        scene.close(outcome, error)
        recorder.note_run(outcome=outcome, error=error, deliveries=deliveries)
    return Played(outcome, error, deliveries, scene.happened, recorder.failure is None)


def sentence_of(error: BaseException) -> str:
    """Return an error in one sentence; one that is none of this package's with its class."""
    text = " ".join(str(error).split())
    if isinstance(error, PubsubSimError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class _LoopTime:
    """The time of a loop that a recorder is made before.

    Attributes:
        now_ns_of_loop: gives it, once the loop runs.
    """

    def __init__(self) -> None:
        self.now_ns_of_loop: Callable[[], int] = lambda: 0

    def now_ns(self) -> int:
        """Return the loop's time; 0 before it runs."""
        return self.now_ns_of_loop()
