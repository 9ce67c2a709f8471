"""The life of a worker: started in a session of its own, listened to, stopped at its limit, always reaped.

Workers that are to be compared live at the same time and are interleaved: one of them goes on while the others pause.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from pubsub_sim.bench.printed import Log, Printed, one_line, quote_end
from pubsub_sim.errors import OptionError
from pubsub_sim.places import packages_folder, working_folder
from pubsub_sim.results import RUN, Row, check_ending

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

STARTUP_LIMIT_S = 30.0
"""How long a worker may take until its measured run begins, and from its last word to its end; no part of the run's limit."""

_LOOK_S = 0.01
_LONGEST_ERROR = 1000

SLICE_S = 0.01
"""How long a time slice of interleaved runs lasts at least: a hundred times the time to pass the turn token and warm caches."""

_DISTURBING = ("PYTHON", "MALLOC_", "GLIBC_TUNABLES")
_KEPT = ("PYTHONPATH", "PYTHONHOME")


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
        log: what the worker logged, its last MiB; stored nowhere.
    """

    outcome: str
    error: str
    rows: tuple[Row, ...] = (Row(RUN, "failures", 1),)
    version: Mapping[str, Any] = field(default_factory=dict)
    log: str = field(default="", compare=False)


def run_worker(
    spec: str,
    *,
    environment: Mapping[str, str],
    limit_s: float,
    command: Sequence[str] | None = None,
    startup_s: float = STARTUP_LIMIT_S,
    imports: Sequence[str] = (),
) -> Answer:
    """Measure one run in a fresh process.

    Args:
        spec: what to run, as the JSON object of a RunSpec.
        environment: variables pinned for the worker.
        limit_s: time in seconds that the measured run may take, from its first phase on.
        command: words that start another program which speaks the protocol of `bench.worker`; None for our own worker.
        startup_s: time in seconds until the first phase, and from the last word to the end of the process.
        imports: modules that our own worker imports first, in this order.

    Returns:
        The worker's answer. A worker that is stopped at the limit, is killed or says nothing sensible has one too.
    """
    whole = undisturbed(environment)
    with selectors.DefaultSelector() as selector, _Worker(spec, limit_s, startup_s, selector, whole) as worker:
        worker.start(command, imports=() if command else imports)
        _attend([worker], selector)
    return worker.answer()


def run_interleaved(
    runs: Sequence[tuple[str, float]],
    *,
    environment: Mapping[str, str],
    slice_s: float = SLICE_S,
    imports: Sequence[Sequence[str]] = (),
) -> list[Answer]:
    """Measure runs that are to be compared, each in a fresh process of our own worker, of which one at a time goes on.

    A machine that others share is half as fast in one second as in the next, and not only from second to second: the
    speed of two neighbouring stretches differs by as much, be they of ten milliseconds or of three seconds. Shorter
    stretches do not make a comparison better, more of them do. So all workers start together, and once each has come to its first
    phase they have the machine in turn, for a time slice each.

    Args:
        runs: of each what to run, as the JSON object of a RunSpec, and the time in seconds that its time slices
            may take together.
        environment: variables pinned for the workers.
        slice_s: how long a time slice lasts at least, in seconds; it ends with a message or a phase.
        imports: for each run the modules that its worker imports first, in this order; empty for no such order.

    Returns:
        The workers' answers, in the order of the runs.
    """
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        whole = undisturbed(environment)
        workers = [
            stack.enter_context(_Worker(spec, limit_s, STARTUP_LIMIT_S, selector, whole)) for spec, limit_s in runs
        ]
        for worker, modules in zip(workers, imports or [()] * len(workers), strict=True):
            worker.start(slice_s=slice_s, imports=modules)
        _attend(workers, selector)
    return [worker.answer() for worker in workers]


def run_side_by_side(
    specs: Mapping[int, str], command: Sequence[str], *, environment: Mapping[str, str], limit_s: float, at_once: int
) -> Generator[tuple[int, Answer]]:
    """Make runs that may disturb each other, each in a fresh process, several at a time.

    Args:
        specs: number of a run to what to run, as a JSON object; begun in this order.
        command: words that start a program which speaks the protocol of `bench.worker`.
        environment: variables pinned for the workers.
        limit_s: time in seconds that each run may take.
        at_once: most processes at a time.

    Yields:
        The number of a run and the worker's answer, as soon as it is there. Whoever stops asking ends the workers.
    """
    whole = undisturbed(environment)
    waiting = list(specs.items())[::-1]
    going: dict[int, _Worker] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or going:
                while waiting and len(going) < at_once:
                    number, spec = waiting.pop()
                    worker = going[number] = _Worker(spec, limit_s, STARTUP_LIMIT_S, selector, whole)
                    worker.start(command)
                _listen([worker for worker in going.values() if not worker.is_over], selector)
                for number in [number for number, worker in going.items() if worker.is_over]:
                    worker = going.pop(number)
                    worker.close()
                    yield number, worker.answer()
        finally:
            for worker in going.values():
                worker.close()


def _attend(workers: Sequence[_Worker], selector: selectors.BaseSelector) -> None:
    """Listen to workers until all are over; of those that ask for the turn token, give it to one when nobody has it."""
    in_turn = itertools.cycle(workers)
    while going := [worker for worker in workers if not worker.is_over]:
        if all(worker.is_asking for worker in going):
            next(worker for worker in in_turn if not worker.is_over).go_on()
        _listen(going, selector)


def _listen(going: Sequence[_Worker], selector: selectors.BaseSelector) -> None:
    """Hear what workers say next, and look whether one of them is over; at once if none goes on."""
    if not going:
        return
    waits_s = [worker.patience_s for worker in going if worker.patience_s is not None]
    for key, _ in selector.select(min(waits_s, default=None)):
        key.data()
    for worker in going:
        worker.look()


class _Timer:
    """The one timer of a worker: what it measures now, how long that may take, and how long it has taken.

    Args:
        what: "start", "run" or "end".
        limit_s: how long it may take.
        is_going: whether time passes from now on.
    """

    def __init__(self, what: str, limit_s: float, *, is_going: bool = True) -> None:
        self.what = what
        self.limit_s = limit_s
        self._taken_s = 0.0
        self._since_s = time.monotonic() if is_going else math.inf

    @property
    def taken_s(self) -> float:
        """Time taken until now, pauses left out."""
        return self._taken_s + max(0.0, time.monotonic() - self._since_s)

    @property
    def left_s(self) -> float:
        """Time left; infinite in a pause."""
        return math.inf if self._since_s == math.inf else self.limit_s - self.taken_s

    def pause(self) -> None:
        """Let no time pass until `go_on`."""
        self._taken_s, self._since_s = self.taken_s, math.inf

    def go_on(self) -> None:
        """Let time pass."""
        self._since_s = time.monotonic()


class _Worker:
    """A process, what it has said so far, and until when it may go on. A context manager: nothing of it is left afterwards.

    Args:
        spec: what to run.
        limit_s: how long the measured run may take.
        startup_s: how long its start may take, and its end.
        selector: told what to listen to; of what is heard it has the function to call.
        environment: all of the process's variables.

    Attributes:
        is_asking: whether it waits for the turn token.
        is_over: whether it has ended or was stopped.
    """

    def __init__(
        self,
        spec: str,
        limit_s: float,
        startup_s: float,
        selector: selectors.BaseSelector,
        environment: Mapping[str, str],
    ) -> None:
        self.is_asking = False
        self.is_over = False
        self._spec = spec
        self._limit_s = limit_s
        self._startup_s = startup_s
        self._timer = _Timer("start", startup_s)
        self._run: _Timer | None = None
        self._selector = selector
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._token: socket.socket | None = None
        self._output, self._log = Printed(), Log()
        self._open = 0
        self._verdict: Answer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, if it goes on, and leave nothing open."""
        self._end()
        if self._process is not None:
            self._process.__exit__(None, None, None)
        if self._token is not None:
            self._token.close()

    def start(
        self, command: Sequence[str] | None = None, slice_s: float | None = None, imports: Sequence[str] = ()
    ) -> None:
        """Start the process, ours or another program, with a turn token if given a time slice, and say what to run."""
        words, passed = [*(command or (_our_start() if imports else _our_worker()))], []
        folder = working_folder() if command else packages_folder()
        if slice_s is not None:
            self._token, theirs = socket.socketpair()
            passed = [theirs.fileno()]
            words += [str(theirs.fileno()), str(round(slice_s * 1e9))]
        try:
            process = self._process = _started([*words, str(os.getpid())], folder, self._environment, passed)
        except OSError as error:
            self._verdict = Answer("failed", f"the program cannot be started: {error.strerror}")
            self.is_over = True
            return
        finally:
            if slice_s is not None:
                theirs.close()
        assert process.stdin is not None
        for stream, sink in ((process.stdout, self._output), (process.stderr, self._log)):
            assert stream is not None
            self._selector.register(stream, selectors.EVENT_READ, partial(self._hear, stream, sink))
            self._open += 1
        if self._token is not None:
            self._selector.register(self._token, selectors.EVENT_READ, self._take_token)
        order = f"{json.dumps(list(imports))}\n" if imports else ""
        with suppress(BrokenPipeError):
            process.stdin.write(f"{order}{self._spec}".encode())
            process.stdin.close()

    def go_on(self) -> None:
        """Pass the turn token to it: its time runs."""
        assert self._token is not None
        self.is_asking = False
        self._timer.go_on()
        with suppress(OSError):  # it has just been killed, and its streams will tell
            self._token.send(b".")

    @property
    def patience_s(self) -> float | None:
        """How long to listen before the next look at it; None for as long as it takes."""
        left_s = max(0.0, self._timer.left_s)
        if not self._open:
            return min(left_s, _LOOK_S)  # both streams have ended, and nothing will tell of the process
        return None if left_s == math.inf else left_s

    def look(self) -> None:
        """Stop it if its time is over; see whether it has ended."""
        if self.is_over:
            return
        assert self._process is not None
        if self._timer.left_s <= 0:
            self._stop()
        elif not self._open and self._process.poll() is not None:
            self._end()

    def answer(self) -> Answer:
        """What came of it, once it is over."""
        return replace(self._verdict or self._judged(), log=self._log.text())

    def _judged(self) -> Answer:
        assert self._process is not None
        status = self._process.returncode
        ended = quote_end(self._output, self._log)
        if status < 0:
            return Answer("crashed", f"the worker was killed by {_signal_name(-status)}{self._where()}{ended}")
        if not self._output.last.strip():
            return Answer("failed", f"the worker ended with status {status} and no record{ended}")
        try:
            if not self._output.is_whole:
                raise ValueError(f"it has {self._output.total:,} bytes")
            return _read_answer(self._output.last, status)
        except (ValueError, TypeError, RecursionError, OptionError) as error:
            problem = one_line(str(error))[:_LONGEST_ERROR]
            return Answer("failed", f"the worker ended with status {status} and no usable record ({problem}){ended}")

    # --- what is heard -------------------------------------------------------------------------------------------

    def _hear(self, stream: IO[bytes], sink: Printed) -> None:
        piece = os.read(stream.fileno(), 65536)
        if piece:
            sink.add(piece)
            if self._log.phase and self._run is None and self._token is None:
                self._begin(is_going=True)
            return
        self._selector.unregister(stream)
        self._open -= 1
        if not self._open and self._timer.left_s > 0:
            self._timer = _Timer("end", self._startup_s)

    def _take_token(self) -> None:
        assert self._token is not None
        if self.is_over:  # it ended in the same round, and nothing is listened to any more
            return
        try:
            said = self._token.recv(1)
        except ConnectionResetError:  # killed before it saw the turn token
            said = b""
        if not said:
            self._selector.unregister(self._token)
            return
        if self._run is None:
            self._begin(is_going=False)
        self._timer.pause()
        self.is_asking = True

    def _begin(self, *, is_going: bool) -> None:
        """Time the measured run from here on."""
        self._timer = self._run = _Timer("run", self._limit_s, is_going=is_going)

    # --- its end -------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        timer = self._timer
        rows = [Row(RUN, "failures", 1)]
        if timer.what == "start":
            sentence = f"the worker was stopped at the limit of {timer.limit_s:g} s for its start{self._where()}"
        elif timer.what == "end":
            sentence = f"the worker did not end within {timer.limit_s:g} s of its last word"
        else:
            rows.append(Row(RUN, "wall_ns", round(timer.taken_s * 1e9)))
            sentence = f"the run was stopped at its limit of {timer.limit_s:g} s{self._where()}"
        self._verdict = Answer("timeout", sentence, tuple(rows))
        self._end()

    def _end(self) -> None:
        """Leave nothing of its session alive, and listen no more."""
        if self._process is None or self.is_over:
            return
        self.is_over = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for source in (self._process.stdout, self._process.stderr, self._token):
            if source is not None:
                with suppress(KeyError):
                    self._selector.unregister(source)
        self._process.wait()

    def _where(self) -> str:
        """Say in which phase the run was, for the end of a sentence."""
        return f" in phase {self._log.phase!r}" if self._log.phase else " before its first phase"


def _read_answer(text: bytes, status: int) -> Answer:
    """Read the record that a worker printed.

    Raises:
        OptionError, RecursionError, TypeError, ValueError: it is none; the sentence says what is wrong with it.
    """
    said = json.loads(text, parse_constant=_refuse)
    if not isinstance(said, dict):
        raise ValueError("it is no JSON object")
    missing = [name for name in ("outcome", "error", "rows", "version") if name not in said]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    if not isinstance(said["rows"], list) or not all(isinstance(row, list) and len(row) == 3 for row in said["rows"]):
        raise ValueError("its rows are no list of [phase, metric, whole number]")
    if not isinstance(said["version"], dict):
        raise ValueError("its version is no JSON object")
    rows = tuple(Row(*row) for row in said["rows"])
    check_ending(said["outcome"], said["error"], rows)
    if said["outcome"] not in ("ok", "failed"):
        raise OptionError("outcome", said["outcome"], "'ok' or 'failed'")
    if said["outcome"] == "ok" and status != 0:
        raise ValueError("it calls itself ok")
    error = one_line(said["error"])[:_LONGEST_ERROR]
    if said["outcome"] != "ok" and not error:
        raise ValueError("its error is blank")
    return Answer(said["outcome"], error, rows, said["version"])


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _signal_name(number: int) -> str:
    """Name a signal; those for programs' own use have numbers only."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _our_worker() -> Sequence[str]:
    return sys.executable, "-m", "pubsub_sim.bench.worker"


def _our_start() -> Sequence[str]:
    return sys.executable, "-m", "pubsub_sim.bench.start"


def _started(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], passed: Sequence[int]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment,
        start_new_session=True,
        pass_fds=passed,
    )
