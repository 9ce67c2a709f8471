"""How does a worker of a pool end with the command it works for, however that ends?

Not by the kernel's signal on a parent's death, as the worker of a sweep does: that follows the thread that started the
process, and a pool starts replacements from a thread of its own. When that thread ends, such a worker is killed with the
pool's lock in its hands, and the command waits for the lock for ever.
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
