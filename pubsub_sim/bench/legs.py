"""Time slices of interleaved runs. A run passes the turn token on and pauses until the token comes back.

The worker's side of `process.run_relay`. The time of a pause is in none of the run's times.
"""

from __future__ import annotations

import os
import time


class Legs:
    """The time slices of one run.

    Args:
        baton: file descriptor on which the turn token is passed on and comes back, a byte each; -1 for a run by itself,
            which never pauses.
        leg_ns: how long a time slice lasts at least; it ends at the first pause after that.

    Attributes:
        taken: time slices begun.
        paused_ns: time on the clock in which the run was paused.
        paused_cpu_ns: processor time that this took.
    """

    def __init__(self, baton: int = -1, leg_ns: int = 0) -> None:
        self.taken = 0
        self.paused_ns = 0
        self.paused_cpu_ns = 0
        self._baton = baton
        self._leg_ns = leg_ns
        self._ends_ns = 0  # the first pause comes before the first time slice

    def pause(self) -> None:
        """Pause here if the time slice has been long enough; the event loop pauses as well, as nothing is awaited."""
        if self._baton < 0 or time.perf_counter_ns() < self._ends_ns:
            return
        cpu_ns, wall_ns = time.process_time_ns(), time.perf_counter_ns()
        os.write(self._baton, b".")
        if not os.read(self._baton, 1):
            os._exit(1)  # nobody is there to hand it back
        self.taken += 1
        now_ns = time.perf_counter_ns()
        self._ends_ns = now_ns + self._leg_ns
        self.paused_ns += now_ns - wall_ns
        self.paused_cpu_ns += time.process_time_ns() - cpu_ns
