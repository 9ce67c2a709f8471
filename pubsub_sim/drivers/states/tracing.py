"""Tracing of the mutations of a host's machines; for illustrations, never measured."""

from __future__ import annotations

from collections.abc import Callable

from asyncmachine import Machine, Tracer, Transition
from pubsub_sim.drivers.states.pubsub_machine import PubsubMachine


class _Tracer(Tracer):
    """Reports the mutations of a host's machines, including flow machines, and their refusals."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note

    def submachine_new(self, parent: Machine, machine: Machine) -> None:
        machine.bind_tracer(self)

    def transition_start(self, tx: Transition) -> None:
        self._note(f"{tx.machine.id}: {tx.mutation.kind} {' '.join(tx.mutation.called)}")

    def transition_end(self, tx: Transition) -> None:
        if not tx.accepted:
            self._note(f"{tx.machine.id}: refused by {tx.canceled_by}")


def trace(driver: PubsubMachine, note: Callable[[str], None]) -> None:
    """Call `note` for every mutation of the host's machines before it is handled. Call this before the driver starts."""
    tracer = _Tracer(note)
    driver.machine.bind_tracer(tracer)
    if driver.discovery is not None:
        driver.discovery.machine.bind_tracer(tracer)
