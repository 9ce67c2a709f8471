"""How frames travel between the nodes of a simulation."""

from __future__ import annotations

from typing import Any

import pytest

from pubsub_sim import run
from pubsub_sim.net.linked import LinkedStream
from pubsub_sim.ports import Sealed
from pubsub_sim.simulator.options import SimOptions
from pubsub_sim.simulator.simulation import Simulation


def written(monkeypatch: pytest.MonkeyPatch, clock: str, duration: str) -> set[type]:
    """The types of the frames that nodes write in a simulation over memory."""
    types: set[type] = set()
    write = LinkedStream.write

    def note(stream: LinkedStream, frame: bytes | Sealed) -> bool:
        types.add(type(frame))
        return write(stream, frame)

    monkeypatch.setattr(LinkedStream, "write", note)
    options: dict[str, Any] = {"duration": duration, "peers": 5, "topics": 3, "every_peer": 0.1, "every_topic": 0.1}
    run(Simulation(SimOptions(**options)).run(), clock=clock, seed=1)
    return types


def test_objects_stand_for_frames_on_the_virtual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """There nothing that is measured depends on encoding."""
    assert {kind.__name__ for kind in written(monkeypatch, "virtual", "30s")} > {"SealedMessage"}


def test_frames_are_bytes_on_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """There a node spends the time that encoding takes."""
    assert written(monkeypatch, "wall", "2s") == {bytes}
