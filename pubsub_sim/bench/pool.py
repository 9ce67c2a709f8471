"""Set-up of a pool's worker process, which ends with the command it works for, however the command ends.

The kernel's signal on a parent's death, which the worker of a sweep uses, does not serve here. It follows the thread that
started the process, and a pool starts replacements from a thread of its own. When that thread ends, such a worker is killed
while it holds the pool's lock, and the command waits for the lock for ever.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def begin_work() -> None:
    """Become a worker: leave interrupts to the command, which ends its workers, and end when it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="watch of the command", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
