"""The machine that is measured on: one measurement at a time, and no more hosts than its memory can hold."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pubsub_sim.errors import OptionError, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK = "pubsub_sim-measuring.lock"
"""Name of the lock's file, in the machine's folder for temporary files; it stays there."""

CONNECTION_BYTES = 3_000
"""What a connection of two hosts takes at least: 3.2 kB in `baseline` and 3.9 kB in `states` with 120 hosts in memory."""

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class BusyMachineError(RunError):
    """Something else is measured on this machine.

    Attributes:
        pid: process that measures; 0 if it cannot be told.
        what: what it measures.
        since: when it began, in UTC.
    """

    def __init__(self, pid: int, what: str, since: str) -> None:
        super().__init__(pid, what, since)
        self.pid = pid
        self.what = what
        self.since = since

    def __str__(self) -> str:
        holder = (
            f"process {self.pid} measures {self.what} since {self.since}" if self.pid else "another process measures"
        )
        return (
            f"this machine is busy: {holder}; wait for it, or give --share (share: true in a notebook), by which both "
            "measure with less than the whole machine"
        )


@contextmanager
def measuring(what: str, *, share: bool = False, wait: bool = False) -> Iterator[None]:
    """Have the machine to oneself; the lock ends with the process, however that happens.

    Args:
        what: what is measured, for those who come later.
        share: whether to do without: take no lock and heed none.
        wait: whether to wait until the machine is free, as a worker of a cluster does.

    Raises:
        BusyMachineError: another process has it.
    """
    if share:
        yield
        return
    lock = _opened()
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _holder(lock) from None
        _sign(lock, {"pid": os.getpid(), "what": what, "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
        yield
    finally:
        os.close(lock)


def _opened() -> int:
    """Open the lock's file, which may be another user's."""
    path = Path(tempfile.gettempdir()) / LOCK
    before = os.umask(0)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except PermissionError:  # another user's, in a folder in which the kernel protects such files
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    finally:
        os.umask(before)


def _sign(lock: int, facts: dict[str, Any]) -> None:
    with suppress(OSError):  # opened for reading only: those who come later learn that it is held, not by whom
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(facts).encode(), 0)


def _holder(lock: int) -> BusyMachineError:
    try:
        facts = json.loads(os.pread(lock, 65536, 0))
        return BusyMachineError(int(facts["pid"]), str(facts["what"]), str(facts["since"]))
    except (ValueError, KeyError, TypeError):
        return BusyMachineError(0, "", "")


def memory_bytes() -> int:
    """Give how much memory this process may use at most: the machine's, or less where a control group has a limit."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for name in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):
            found = min(found, int(Path(name).read_text()))
    return found


def check_hosts(hosts: int, *, runs: int = 1, barrier: bool = True) -> None:
    """Refuse more hosts than memory can hold.

    Args:
        hosts: number of hosts of a run.
        runs: how many such runs live at the same time.
        barrier: whether all hosts are connected with each other; if not, each has one connection at least.

    Raises:
        OptionError: the connections alone take more than there is.
    """
    room = memory_bytes()
    if _needed(hosts, runs, barrier) <= room:
        return
    most = hosts
    low = 2
    while low < most:  # the greatest number that fits
        middle = (low + most + 1) // 2
        low, most = (middle, most) if _needed(middle, runs, barrier) <= room else (low, middle - 1)
    raise OptionError(
        "hosts", hosts, f"at most {low}, as {room / 2**30:,.1f} GiB of memory hold the connections of no more"
    )


def _needed(hosts: int, runs: int, barrier: bool) -> int:
    connections = hosts * (hosts - 1) // 2 if barrier else hosts - 1
    return connections * CONNECTION_BYTES * runs
