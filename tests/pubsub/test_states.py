"""The three machines of the state-machine version: their states, relations, and what is left of them after work."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pubsub_sim import World, min_topic_size, run
from pubsub_sim.drivers.states import describe
from pubsub_sim.drivers.states.schemas import BootstrapStates, DiscoveryStates, PubsubStates
from pubsub_sim.drivers.versions import describe_version, known_versions
from pubsub_sim.errors import OptionError


def states(schema: type) -> list[str]:
    return [name for name in schema.states if name != "Exception"]  # type: ignore[attr-defined]


def test_the_machines_have_20_10_and_5_states_in_the_reference_order() -> None:
    """The order is that of the clocks; Exception comes first by itself."""
    assert (
        states(PubsubStates)
        == (
            "PeersPending PeersDead PeerNewStream PeerCloseStream PeerError GetTopics AddTopic RemoveTopic "
            "RemoveSubscription AddSubscription AddRelay RemoveRelay GetPeers IncomingRPC AddValidator RemoveValidator "
            "PublishMessage AnnouncingTopic TopicAnnounced BlacklistPeer"
        ).split()
    )
    assert (
        states(DiscoveryStates)
        == (
            "Start PoolTimer RefreshingDiscoveries DiscoveriesRefreshed DiscoveringTopic TopicDiscovered "
            "BootstrappingTopic TopicBootstrapped AdvertisingTopic StopAdvertisingTopic"
        ).split()
    )
    assert states(BootstrapStates) == (
        "Start BootstrapChecking DiscoveringTopic BootstrapDelay TopicBootstrapped".split()
    )


def test_the_host_machine_has_pulses_and_no_relations() -> None:
    """All but the two signals may repeat."""
    for name in states(PubsubStates):
        state = PubsubStates.states[name]
        assert state.multi == (name not in ("PeersPending", "PeersDead"))
        assert not any((state.auto, state.require, state.add, state.remove, state.after))


def test_a_description_is_data() -> None:
    """Reports show what was run without importing it."""
    machines = describe()["machines"]
    assert [len(machine["states"]) for machine in machines] == [20, 10, 5]
    assert machines[1]["states"][0] == {
        "name": "Start",
        "auto": False,
        "multi": False,
        "require": [],
        "add": ["PoolTimer"],
        "remove": [],
        "after": [],
    }
    assert describe_version("baseline")["machines"] == []


def test_versions_are_known_by_name() -> None:
    """An unknown one is an error that lists those that are known."""
    assert known_versions()[:2] == ("baseline", "states")
    with pytest.raises(
        OptionError, match="version: expected one of baseline, states, direct, states-rpc, got 'origin'"
    ):
        describe_version("origin")


def test_after_work_no_pulse_is_left_and_no_flow_lives(caplog: pytest.LogCaptureFixture) -> None:
    """Every input's state removed itself, no error was swallowed, and discovery holds only what it keeps for good."""

    async def main() -> None:
        async with World(4, version="states") as world:
            topics = [await ps.join("t") for ps in world.pubsubs]
            subscriptions = [await topic.subscribe() for topic in topics]
            for number in range(3):
                await topics[number].publish(b"x", ready=min_topic_size(3))
            await subscriptions[0].cancel()
            await world.settle()
            for ps in world.pubsubs:
                driver = ps._driver
                assert driver.machine.active_states() == ()  # type: ignore[attr-defined] # looking inside
                assert driver.machine.err is None  # type: ignore[attr-defined]
                assert driver.discovery._handlers.flows.running == {}  # type: ignore[union-attr]
                active = set(driver.discovery.machine.active_states())  # type: ignore[union-attr]
                kept = {"Start", "PoolTimer", "TopicDiscovered", "TopicBootstrapped", "AdvertisingTopic"}
                assert active <= kept

    with caplog.at_level(logging.WARNING):
        run(main(), clock="virtual")
    assert caplog.records == []


def test_a_topic_with_enough_peers_is_not_waited_for(version: str) -> None:
    """Its bootstrap takes one turn: two rounds of the loop later, as after any other request, the caller goes on."""

    async def main() -> None:
        async with World(3, version=version) as world:
            topic, *others = [await ps.join("t") for ps in world.pubsubs]
            for other in others:
                await other.subscribe()
            await topic.publish(b"x", ready=min_topic_size(2))
            await world.settle()
            publishing = asyncio.create_task(topic.publish(b"y", ready=min_topic_size(2)))
            rounds = 0
            while not publishing.done():
                await asyncio.sleep(0)
                rounds += 1
            assert rounds == 3  # one until the task begins

    run(main(), clock="virtual")


def test_no_handler_is_slow_on_virtual_time(caplog: pytest.LogCaptureFixture) -> None:
    """Else what is logged would hang on the load of the machine."""

    async def main() -> None:
        async with World(2, version="states", discovery=False) as world:
            for ps in world.pubsubs:
                ps._driver.machine.slow_handler_s = 0.0  # type: ignore[attr-defined] # of this version's driver
            await world.connect(0, 1)
            await (await world.pubsubs[0].join("t")).subscribe()
            await world.settle()

    run(main(), clock="virtual")
    assert "slow" not in caplog.text
    run(main(), clock="wall")
    assert "[handler:slow] ps-0" in caplog.text
