"""Each publish that waits for peers has a flow of its own, also where one machine serves many of them in turn."""

from __future__ import annotations

import asyncio
import gc
import random
import re
import weakref
from typing import Any

import pytest

from asyncmachine import Machine, Tracer
from pubsub_sim import PubSub, World, run
from pubsub_sim.drivers.states.bootstrap_machine import BootstrapFlows
from pubsub_sim.drivers.states.pubsub_machine import PubsubMachine

VERSIONS = ("states", "states-rpc")
FIRST = {
    "Exception": 0,
    "Start": 1,
    "BootstrapChecking": 1,
    "DiscoveringTopic": 0,
    "BootstrapDelay": 0,
    "TopicBootstrapped": 0,
}
"""The clock of a flow at its first look."""


class Planted(Exception):
    """What the tests plant."""


class Flows(Tracer):
    """Writes down which machines begin and end below a discovery machine."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, Machine]] = []
        self.ended: list[str] = []

    def submachine_new(self, parent: Machine, machine: Machine) -> None:
        self.begun.append((machine.id, machine))
        machine.bind_tracer(self)

    def machine_dispose(self, machine: Machine) -> None:
        self.ended.append(machine.id)


def flows_of(pubsub: PubSub) -> BootstrapFlows:
    driver = pubsub._driver
    assert isinstance(driver, PubsubMachine)
    assert driver.discovery is not None
    return driver.discovery._flows


def running(pubsub: PubSub) -> Machine:
    """The one flow under way."""
    ((machine, _),) = flows_of(pubsub).running.values()
    return machine


@pytest.mark.parametrize("version", VERSIONS)
def test_each_publish_has_a_name_and_a_clock_of_its_own(version: str) -> None:
    """The names count up, and every flow begins with no tick but those of its first two states."""
    seen: list[tuple[str, dict[str, int]]] = []

    async def main() -> None:
        async with World(1, version=version) as world:
            (pubsub,) = world.pubsubs
            topics = [await pubsub.join(name) for name in ("a", "b")]

            def look(router: Any, topic: str) -> bool:
                flow = running(pubsub)
                seen.append((flow.id, flow.clock()))
                return True

            for number in range(6):
                await topics[number % 2].publish(b"x", ready=look)
                assert flows_of(pubsub).running == {}

    run(main(), clock="virtual")
    names = [name for name, _ in seen]
    assert len(set(names)) == 6
    assert all(re.fullmatch(r"ps-\d+-disc-bf-\d+-[ab]", name) for name in names)
    assert [clock for _, clock in seen] == [FIRST] * 6


@pytest.mark.parametrize("version", VERSIONS)
def test_a_tracer_sees_a_machine_begin_and_end_for_each_publish(version: str) -> None:
    """Bound between two publishes, or before all of them: a machine each, disposed of after it."""

    async def main() -> None:
        async with World(1, version=version) as world:
            (pubsub,) = world.pubsubs
            topic = await pubsub.join("t")
            tracer = Flows()
            for number in range(9):
                if number in (3, 7):
                    flows_of(pubsub)._discovery.machine.bind_tracer(tracer)
                if number == 6:
                    flows_of(pubsub)._discovery.machine.unbind_tracer(tracer)
                await topic.publish(b"x", ready=lambda router, topic: True)
            assert len(tracer.begun) == 5
            assert len({name for name, _ in tracer.begun}) == len({id(machine) for _, machine in tracer.begun}) == 5
            assert tracer.ended == [name for name, _ in tracer.begun]
            assert all(machine.is_disposed for _, machine in tracer.begun)

    run(main(), clock="virtual")


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_of_a_publish_is_kept_after_it(version: str) -> None:
    """Neither its readiness function nor its topic, though its machine may be."""

    async def main() -> None:
        async with World(1, version=version) as world:
            (pubsub,) = world.pubsubs
            topic = await pubsub.join("t")

            class Ready:
                def __call__(self, router: Any, topic: str) -> bool:
                    return True

            ready = Ready()
            gone = weakref.ref(ready)
            await topic.publish(b"x", ready=ready)
            del ready
            await world.settle()
            gc.collect()
            assert gone() is None

    run(main(), clock="virtual")


class Publish:
    """One publish with a readiness function that holds, fails, comes true after some looks, or never does."""

    def __init__(self, rng: random.Random, topic: Any) -> None:
        self.kind = rng.choice(["holds", "holds", "holds", "fails", "later", "fails later", "never"])
        self.looks_left = rng.randint(1, 4) if "later" in self.kind else 0
        self.give_up_s = rng.uniform(0.0, 1.2) if self.kind == "never" or rng.random() < 0.2 else None
        self.topic = topic

    def ready(self, router: Any, topic: str) -> bool:
        if self.looks_left:
            self.looks_left -= 1
            return False
        if self.kind.startswith("fails"):
            raise Planted
        return self.kind != "never"

    async def play(self) -> str:
        try:
            async with asyncio.timeout(self.give_up_s):
                await self.topic.publish(b"x", ready=self.ready)
        except TimeoutError:
            return "given up"
        except Planted:
            return "fails"
        return "holds"

    @property
    def expected(self) -> set[str]:
        outcome = "fails" if self.kind.startswith("fails") else "holds"
        outcomes = set() if self.kind == "never" else {outcome}
        return outcomes | ({"given up"} if self.give_up_s is not None else set())


@pytest.mark.parametrize("version", ["baseline", *VERSIONS])
@pytest.mark.parametrize("first", range(0, 60, 10))
def test_publishes_that_fail_or_are_given_up_leave_nothing_to_the_next(version: str, first: int) -> None:
    """Of many at once and one after another, each ends as its own function says, and every flow has ended."""

    async def main(seed: int) -> None:
        rng = random.Random(seed)
        async with World(2, version=version, seed=seed) as world:
            topics = [await pubsub.join("t") for pubsub in world.pubsubs]
            for _ in range(6):
                at = rng.randrange(2)
                publishes = [Publish(rng, topics[at]) for _ in range(rng.randint(1, 4))]
                outcomes = await asyncio.gather(*(publish.play() for publish in publishes))
                for publish, outcome in zip(publishes, outcomes, strict=True):
                    assert outcome in publish.expected, publish.kind
                await world.clock.sleep(rng.choice([0.0, 0.05, 0.5]))
            await world.settle()
            if version != "baseline":
                for pubsub in world.pubsubs:
                    flows = flows_of(pubsub)
                    assert flows.running == {}
                    assert flows._spare is None or sum(flows._spare[0].time()) == 0

    for seed in range(first, first + 10):
        run(main(seed), clock="virtual", seed=seed)
