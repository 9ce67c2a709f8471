"""How does a worker live and die? Started in a session of its own, listened to, stopped at its limit, always reaped.

Workers that are to be compared live at the same time and relay: one of them goes on while the others stand still.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import pubsub_sim
from pubsub_sim.results import RUN, Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STARTUP_LIMIT_S = 30.0
"""How long a worker may take until its measured run begins; not part of the run's own limit."""

LEG_S = 0.01
"""How long a leg of a relay lasts at least: a hundred times what it takes to hand the baton on and to warm the caches."""

_DISTURBING = ("PYTHON", "MALLOC_", "GLIBC_TUNABLES")
_KEPT = ("PYTHONPATH", "PYTHONHOME")
_PHASE = b"phase: "
_FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/'\"]+/)+")


def pinned_environment(allocator: str) -> dict[str, str]:
    """Give the variables that every worker gets, whatever the parent's environment says.

    Args:
        allocator: "pinned" fixes malloc's thresholds. glibc's own ones move, and a reader with a buffer above them
            maps and unmaps memory on every read.

    Returns:
        Name to value.
    """
    fixed = {"PYTHONHASHSEED": "0"}
    if allocator == "pinned":
        fixed |= {"MALLOC_MMAP_THRESHOLD_": "4194304", "MALLOC_TRIM_THRESHOLD_": "134217728"}
    return fixed


def undisturbed(environment: Mapping[str, str]) -> dict[str, str]:
    """Give the whole environment of a measuring process: this one's without what disturbs, and what is pinned.

    Args:
        environment: variables pinned for the process.
    """
    inherited = {name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith(_DISTURBING)}
    return {**inherited, **environment}


@dataclass(frozen=True)
class Answer:
    """What came back from a worker.

    Attributes:
        outcome: "ok", "failed", "timeout" or "crashed".
        error: one sentence, empty when ok.
        rows: the numbers.
        version: the version's own description.
    """

    outcome: str
    error: str
    rows: tuple[Row, ...] = (Row(RUN, "failures", 1),)
    version: Mapping[str, Any] = field(default_factory=dict)


def run_worker(
    spec: str, *, environment: Mapping[str, str], limit_s: float, command: Sequence[str] | None = None
) -> Answer:
    """Measure one run in a fresh process.

    Args:
        spec: what to run, as the JSON object of a RunSpec.
        environment: variables pinned for the worker.
        limit_s: time in seconds that the measured run may take, from its first phase on.
        command: words that start another program which speaks the protocol of `bench.worker`; None for our own worker.

    Returns:
        The worker's answer. A worker that is stopped at the limit, is killed or says nothing sensible has one too.
    """
    with selectors.DefaultSelector() as selector, _Worker(spec, limit_s, selector, undisturbed(environment)) as worker:
        worker.start(command or _our_worker())
        _attend([worker], selector)
    return worker.answer()


def run_relay(
    runs: Sequence[tuple[str, float]], *, environment: Mapping[str, str], leg_s: float = LEG_S
) -> list[Answer]:
    """Measure runs that are to be compared, each in a fresh process of our own worker, of which one at a time goes on.

    A machine that others share is half as fast in one second as in the next, and not only from second to second: the
    speed of two neighbouring stretches differs by as much, be they of ten milliseconds or of three seconds. Shorter
    stretches do not make a comparison better, more of them do. So all workers start together, and once each has come to its first
    phase they have the machine in turn, for a leg each.

    Args:
        runs: of each what to run, as the JSON object of a RunSpec, and the time in seconds that its legs may take
            together.
        environment: variables pinned for the workers.
        leg_s: how long a leg lasts at least, in seconds; it ends with a message or a phase.

    Returns:
        The workers' answers, in the order of the runs.
    """
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        whole = undisturbed(environment)
        workers = [stack.enter_context(_Worker(spec, limit_s, selector, whole)) for spec, limit_s in runs]
        for worker in workers:
            worker.start(_our_worker(), leg_s)
        _attend(workers, selector)
    return [worker.answer() for worker in workers]


def _attend(workers: Sequence[_Worker], selector: selectors.BaseSelector) -> None:
    """Listen to workers until all are over; of those that ask for the baton, give it to one when nobody has it."""
    in_turn = itertools.cycle(workers)
    while going := [worker for worker in workers if not worker.is_over]:
        if all(worker.is_asking for worker in going):
            next(worker for worker in in_turn if not worker.is_over).go_on()
        next_s = min(worker.deadline_s for worker in going)
        for key, _ in selector.select(max(0.0, next_s - time.monotonic())):
            key.data()
        for worker in going:
            worker.look_at_the_clock()


class _Worker:
    """A process, what it has said so far, and until when it may go on. A context manager: nothing of it is left afterwards.

    Args:
        spec: what to run.
        limit_s: how long the measured run may take.
        selector: told what to listen to; of what is heard it has the function to call.
        environment: all of the process's variables.

    Attributes:
        deadline_s: when it is stopped; infinite as long as it waits for the baton.
        is_asking: whether it waits for the baton.
        is_over: whether it has ended or was stopped.
    """

    def __init__(
        self, spec: str, limit_s: float, selector: selectors.BaseSelector, environment: Mapping[str, str]
    ) -> None:
        self.deadline_s = time.monotonic() + STARTUP_LIMIT_S
        self.is_asking = False
        self.is_over = False
        self._spec = spec
        self._limit_s = self._left_s = limit_s
        self._selector = selector
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._baton: socket.socket | None = None
        self._output, self._log = bytearray(), bytearray()
        self._open = 0
        self._phase = ""
        self._has_begun = False
        self._verdict: Answer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        if self._process is not None:
            self._process.__exit__(None, None, None)
        if self._baton is not None:
            self._baton.close()

    def start(self, command: Sequence[str], leg_s: float | None = None) -> None:
        """Start the process, with a baton if it is told how long a leg is, and say what to run."""
        words, passed = [*command], []
        if leg_s is not None:
            self._baton, theirs = socket.socketpair()
            passed = [theirs.fileno()]
            words += [str(theirs.fileno()), str(round(leg_s * 1e9))]
        try:
            process = self._process = _started([*words, str(os.getpid())], self._environment, passed)
        except OSError as error:
            self._verdict = Answer("failed", f"the program cannot be started: {error.strerror}")
            self.is_over = True
            return
        finally:
            if leg_s is not None:
                theirs.close()
        assert process.stdin is not None
        for stream, sink in ((process.stdout, self._output), (process.stderr, self._log)):
            assert stream is not None
            self._selector.register(stream, selectors.EVENT_READ, partial(self._hear, stream, sink))
            self._open += 1
        if self._baton is not None:
            self._selector.register(self._baton, selectors.EVENT_READ, self._take_baton)
        with suppress(BrokenPipeError):
            process.stdin.write(self._spec.encode())
            process.stdin.close()

    def go_on(self) -> None:
        """Hand the baton to it: its time runs."""
        assert self._baton is not None
        self.is_asking = False
        self.deadline_s = time.monotonic() + self._left_s
        with suppress(OSError):  # it has just been killed, and its streams will tell
            self._baton.send(b".")

    def look_at_the_clock(self) -> None:
        """Stop it if its time is over."""
        if not self.is_over and time.monotonic() >= self.deadline_s:
            self._stop()

    def answer(self) -> Answer:
        """What came of it, once it is over."""
        if self._verdict is not None:
            return self._verdict
        assert self._process is not None
        status = self._process.returncode
        if status < 0:
            return Answer("crashed", f"the worker was killed by {signal.Signals(-status).name}{self._where()}")
        try:
            said = json.loads(bytes(self._output))
            rows = tuple(Row(*row) for row in said["rows"])
            return Answer(said["outcome"], _without_folders(said["error"]), rows, said["version"])
        except (ValueError, KeyError, TypeError):
            words = _without_folders(self._last_words())
            tail = f": {words}" if words else ""
            return Answer("failed", f"the worker ended with status {status} and no record{tail}")

    # --- what is heard -------------------------------------------------------------------------------------------

    def _hear(self, stream: IO[bytes], sink: bytearray) -> None:
        piece = os.read(stream.fileno(), 65536)
        sink.extend(piece)
        if piece:
            self._follow()
            return
        self._selector.unregister(stream)
        self._open -= 1
        if not self._open:
            self._see_it_end()

    def _take_baton(self) -> None:
        assert self._baton is not None
        if self.is_over:  # it ended in the same round, and nothing is listened to any more
            return
        try:
            said = self._baton.recv(1)
        except ConnectionResetError:  # killed before it saw the baton
            said = b""
        if not said:
            self._selector.unregister(self._baton)
            return
        if self._has_begun:
            self._left_s = self.deadline_s - time.monotonic()
        self._has_begun = self.is_asking = True
        self.deadline_s = math.inf

    def _follow(self) -> None:
        start = self._log.rfind(_PHASE)
        end = self._log.find(b"\n", start)
        if start < 0 or end < 0:
            return
        if not self._phase and self._baton is None:
            self.deadline_s = time.monotonic() + self._limit_s
        self._phase = self._log[start + len(_PHASE) : end].decode(errors="replace")

    # --- its end -------------------------------------------------------------------------------------------------

    def _see_it_end(self) -> None:
        """Both streams have ended, and so should the process."""
        assert self._process is not None
        try:
            self._process.wait(max(0.1, min(self.deadline_s - time.monotonic(), STARTUP_LIMIT_S)))
        except subprocess.TimeoutExpired:
            self._stop()
        else:
            self._end()

    def _stop(self) -> None:
        self._verdict = Answer("timeout", f"the run was stopped at its limit of {self._limit_s:g} s{self._where()}")
        self._end()

    def _end(self) -> None:
        """Leave nothing of its session alive, and listen no more."""
        if self._process is None or self.is_over:
            return
        self.is_over = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for source in (self._process.stdout, self._process.stderr, self._baton):
            if source is not None:
                with suppress(KeyError):
                    self._selector.unregister(source)
        self._process.wait()

    def _where(self) -> str:
        """Say in which phase the run was, for the end of a sentence."""
        return f" in phase {self._phase!r}" if self._phase else " before its first phase"

    def _last_words(self) -> str:
        """Give the last line on stderr that is no phase."""
        lines = [line for line in bytes(self._log).splitlines() if line.strip() and not line.startswith(_PHASE)]
        return " ".join(lines[-1].decode(errors="replace").split()) if lines else ""


def _our_worker() -> Sequence[str]:
    return sys.executable, "-m", "pubsub_sim.bench.worker"


def _started(words: Sequence[str], environment: Mapping[str, str], passed: Sequence[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(pubsub_sim.__file__).resolve().parents[1],
        env=environment,
        start_new_session=True,
        pass_fds=passed,
    )


def _without_folders(sentence: str) -> str:
    """Cut absolute paths down to their last part: records are published and must not tell whose machine it was."""
    return _FOLDERS.sub("", sentence)
