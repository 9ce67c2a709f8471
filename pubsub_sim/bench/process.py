"""How does one worker live and die? Started in a session of its own, listened to, stopped at its limit, always reaped."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pubsub_sim
from pubsub_sim.results import RUN, Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STARTUP_LIMIT_S = 30.0
"""How long a worker may take until its measured run begins; not part of the run's own limit."""

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
    words = [*(command or (sys.executable, "-m", "pubsub_sim.bench.worker")), str(os.getpid())]
    try:
        process = _started(words, undisturbed(environment))
    except OSError as error:
        return Answer("failed", f"the program cannot be started: {error.strerror}")
    with process:
        try:
            heard = _Listener(process, limit_s)
            with suppress(BrokenPipeError):
                assert process.stdin is not None
                process.stdin.write(spec.encode())
                process.stdin.close()
            is_late = not heard.until_end()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if is_late:
        return Answer("timeout", f"the run was stopped at its limit of {limit_s:g} s{heard.where()}")
    return _answer(process.returncode, heard)


def _started(words: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(pubsub_sim.__file__).resolve().parents[1],
        env=environment,
        start_new_session=True,
    )


class _Listener:
    """Reads both streams of a worker until they end or its time is over."""

    def __init__(self, process: subprocess.Popen[bytes], limit_s: float) -> None:
        self.output = bytearray()
        self.log = bytearray()
        self.phase = ""
        self._process = process
        self._limit_s = limit_s
        self._deadline_s = time.monotonic() + STARTUP_LIMIT_S

    def until_end(self) -> bool:
        """Say whether the worker ended by itself in time."""
        with selectors.DefaultSelector() as selector:
            for stream, sink in ((self._process.stdout, self.output), (self._process.stderr, self.log)):
                assert stream is not None
                selector.register(stream, selectors.EVENT_READ, sink)
            while selector.get_map():
                left_s = self._deadline_s - time.monotonic()
                if left_s <= 0:
                    return False
                for key, _ in selector.select(left_s):
                    piece = os.read(key.fd, 65536)
                    key.data.extend(piece)
                    if not piece:
                        selector.unregister(key.fileobj)
                self._follow()
        try:
            self._process.wait(max(0.1, self._deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def where(self) -> str:
        """Say in which phase the run was, for the end of a sentence."""
        return f" in phase {self.phase!r}" if self.phase else " before its first phase"

    def last_words(self) -> str:
        """Give the last line on stderr that is no phase."""
        lines = [line for line in bytes(self.log).splitlines() if line.strip() and not line.startswith(_PHASE)]
        return " ".join(lines[-1].decode(errors="replace").split()) if lines else ""

    def _follow(self) -> None:
        start = self.log.rfind(_PHASE)
        end = self.log.find(b"\n", start)
        if start < 0 or end < 0:
            return
        if not self.phase:
            self._deadline_s = time.monotonic() + self._limit_s
        self.phase = self.log[start + len(_PHASE) : end].decode(errors="replace")


def _answer(status: int, heard: _Listener) -> Answer:
    if status < 0:
        return Answer("crashed", f"the worker was killed by {signal.Signals(-status).name}{heard.where()}")
    try:
        said = json.loads(bytes(heard.output))
        rows = tuple(Row(*row) for row in said["rows"])
        return Answer(said["outcome"], _without_folders(said["error"]), rows, said["version"])
    except (ValueError, KeyError, TypeError):
        words = _without_folders(heard.last_words())
        return Answer("failed", f"the worker ended with status {status} and no record{f': {words}' if words else ''}")


def _without_folders(sentence: str) -> str:
    """Cut absolute paths down to their last part: records are published and must not tell whose machine it was."""
    return _FOLDERS.sub("", sentence)
