"""Living worker processes, read from the process table, and a wait for a condition."""

import time
from collections.abc import Callable
from pathlib import Path

LIVES_ON_S = 5.0
"""What a killed sweep has started is gone within this time: a promise, and not just the end of a test that hangs."""


def children(parent: int) -> list[int]:
    """Give the living children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, ppid = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(ppid) == parent and state != "Z":
                found.append(int(entry.name))
    return found


def is_worker(pid: int) -> bool:
    """Say whether a process is a living worker."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        return state != "Z" and any(name in words for name in (b"pubsub_sim.bench.worker", b"pubsub_sim.bench.start"))
    except OSError:
        return False


def workers_of(parent: int) -> list[int]:
    """Give the living workers that a process started."""
    return [pid for pid in children(parent) if is_worker(pid)]


def wait_until(condition: Callable[[], object], within_s: float = 120.0) -> bool:
    """Say whether something became true; the time only ends a test that would hang, however busy the machine is."""
    end_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.05)  # reading the process table takes milliseconds
    return True
