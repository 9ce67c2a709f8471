"""The same seed gives the same log: whatever the hash seed, the collector and the clocks of the machine do."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pubsub_sim import LinkModel, World, min_topic_size, run
from pubsub_sim.world.trace import digest


def fingerprint(version: str, **options: Any) -> str:
    """Of all that happened in a busy world: discovery, floods, a leave, a cut and a reconnection."""

    async def main() -> str:
        async with World(6, version=version, seed=7, trace=True, **options) as world:
            topics = [await ps.join("t") for ps in world.pubsubs]
            subscriptions = [await topic.subscribe() for topic in topics]
            await world.settle()
            for number in range(6):
                await topics[number].publish(b"%d" % number, ready=min_topic_size(1))
            await world.settle()
            await subscriptions[3].cancel()
            await world.disconnect(0, 1)
            await world.settle()
            await world.connect(1, 0)
            await topics[0].publish(b"last")
            await world.settle()
            return digest(world.trace)

    return run(main(), clock="virtual")


@pytest.mark.parametrize(
    "code",
    [
        "from tests.world.test_determinism import fingerprint; print(fingerprint({0!r}))",
        "from tests.world.test_faults import chaos, digest; print(digest(chaos({0!r}, 5)))",
    ],
    ids=["calm", "with faults"],
)
def test_two_hash_seeds_give_one_log(version: str, code: str) -> None:
    """No set's order and no object's address reaches a decision."""
    code = code.format(version)
    logs = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert logs[0] == logs[1]
    assert len(logs[0].strip()) == 64


def test_the_collector_changes_nothing(version: str) -> None:
    """Finalisers may run at any moment: no decision waits for one."""
    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        eager = fingerprint(version)
    finally:
        gc.set_threshold(*thresholds)
    gc.disable()
    try:
        assert fingerprint(version) == eager
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "link", [None, LinkModel(latency_s=(0.01, 0.15), jitter=0.1, loss=0.01)], ids=["plain", "links"]
)
def test_no_clock_and_no_chance_of_the_machine_is_asked(
    version: str, link: LinkModel | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the world's: the machine's raise here."""
    expected = fingerprint(version, link=link)

    def leak(*args: object) -> NoReturn:
        raise AssertionError("asked the machine")

    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"):
        monkeypatch.setattr(time, name, leak)
    for name in ("random", "uniform", "randint", "randrange", "choice", "shuffle", "sample", "getrandbits", "seed"):
        monkeypatch.setattr(random, name, leak)
    monkeypatch.setattr(os, "urandom", leak)
    try:
        found = fingerprint(version, link=link)
    finally:
        monkeypatch.undo()
    assert found == expected
