"""No handler of the state machines fails in silence: whoever asked is told, or the node ends and says why."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from pubsub_sim import PubSub, World, min_topic_size, run
from pubsub_sim.drivers.states import bootstrap_machine, discovery_machine, pubsub_handlers, pubsub_machine
from pubsub_sim.errors import PubsubSimError
from pubsub_sim.net.faults import Crash, FaultPlan

CLASSES: dict[str, tuple[type[Any], Any]] = {
    "PubsubHandlers": (pubsub_handlers.PubsubHandlers, pubsub_machine),
    "DiscoveryHandlers": (discovery_machine.DiscoveryHandlers, discovery_machine),
    "BootstrapHandlers": (bootstrap_machine.BootstrapHandlers, bootstrap_machine),
}
HANDLERS = [
    (name, handler)
    for name, (kind, _) in CLASSES.items()
    for handler in vars(kind)
    if handler.endswith(("Enter", "State", "Exit")) and not handler.startswith("Exception")
]
NEVER = {"PeerErrorEnter", "PeerErrorState", "DiscoveringTopicExit", "BootstrappingTopicExit", "AdvertisingTopicExit"}
"""Which this script may not come to, or after everybody has his answer."""


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(("name", "handler"), HANDLERS)
def test_a_handler_with_a_mistake_is_heard_of(
    name: str, handler: str, is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its first call, or at a later one; nobody waits for ever, whatever else is called meanwhile."""
    kind, module = CLASSES[name]
    called: list[str] = []

    def mistaken(self: object, e: object) -> bool:
        called.append(handler)
        raise AttributeError("planted")

    async def mistaken_later(self: object, e: object) -> None:
        await asyncio.sleep(0)
        mistaken(self, e)

    is_final = handler.endswith("State")
    if is_async and not is_final:
        pytest.skip("a veto cannot take time")
    wrong = type(name, (kind,), {"__slots__": (), handler: mistaken_later if is_async else mistaken})
    monkeypatch.setattr(module, name, wrong)
    told: list[BaseException] = []

    async def ask(node: PubSub, call: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(300):
                return await call
        except (AttributeError, PubsubSimError) as error:
            told.append(error)
        except TimeoutError:
            assert node.failure is None  # it waits for peers, and the other node has failed
        return None

    failure: BaseException | None = None
    try:
        run(_everything(ask), clock="virtual")
    except (AttributeError, ExceptionGroup) as error:
        failure = error
    if failure is not None:
        assert not isinstance(failure.__context__, AssertionError), "somebody waited in vain"
        told.append(failure)
    assert called or handler in NEVER
    assert told or not called or handler in NEVER


async def _everything(ask: Any) -> None:
    """Have every handler called, whatever fails on the way."""
    faults = FaultPlan(faults=(Crash(host=1, at_s=20.0, for_s=5.0),))
    async with World(2, version="states", faults=faults) as world:
        node, peer = world.pubsubs
        topic = await ask(node, node.join("t"))
        other = await ask(peer, peer.join("t"))
        if topic is not None and other is not None:
            subscription, relay = await ask(node, topic.subscribe()), await ask(node, topic.relay())
            await ask(peer, other.subscribe())
            await ask(node, topic.publish(b"x", ready=min_topic_size(1)))
            if subscription is not None:
                await ask(node, subscription.cancel())
            if relay is not None:
                await ask(node, relay())
            await ask(node, topic.close())
        await ask(node, node.topics())
        await ask(node, node.list_peers())
        await ask(node, node.register_validator("u", lambda peer, message: True))
        await ask(node, node.unregister_validator("u"))
        await world.clock.sleep(30)
        await ask(node, world.connect(0, 1))
        await world.clock.sleep(5)
        await ask(node, node.blacklist(world.peer_id(1)))
        await world.clock.sleep(5)
