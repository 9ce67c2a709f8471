"""Who is told, and what is let go, when a machine's life ends?

Waits, contexts, tasks and the functions of `on_dispose`. When that is, `queueing` and the facade decide.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from asyncmachine.errors import MachineDisposedError
from asyncmachine.subscriptions import WHEN_ENDS
from asyncmachine.transition import CLOSING, DISPOSED

if TYPE_CHECKING:
    from asyncmachine.observation import Observation

_logger = logging.getLogger("asyncmachine")


def close(m: Observation) -> None:
    """Dispose of an idle machine."""
    m._gate = (m._gate | DISPOSED) & ~CLOSING
    hooks = m._hooks
    if hooks.machine_dispose:
        hooks.fire(hooks.machine_dispose, m)
    subs = m._subs
    bare = m._automaton.compiled.bare
    m._node = bare.empty
    if subs is not None:
        subs.expire({*subs.contexts, *subs.spans})
        for subscription in subs.take_all():
            if subscription.kind == WHEN_ENDS:
                subscription.waiter.resolve(None)
            else:
                subscription.waiter.fail(MachineDisposedError(m.id))
    m._automaton = bare
    m._slots = m._bound = ()
    if m._tasks or m._on_dispose or m._closed_waits:
        _end_work(m)


def _end_work(m: Observation) -> None:
    """Cancel the tasks of a disposed machine, and tell who wants to know of its end."""
    closed_waits, m._closed_waits = m._closed_waits, []
    for task in tuple(m._tasks or ()):
        task.cancel()
    functions, m._on_dispose = m._on_dispose, []
    for function in functions:
        try:
            function()
        except Exception:
            _logger.exception("[dispose] %s: on_dispose function failed", m.id)
    m._closed_waits = [*closed_waits, *m._closed_waits]
    m._release_closed()
