"""The addresses hosts have, as their peers see them: on every network, in every life."""

from __future__ import annotations

import pytest

from pubsub_sim import LinkModel, World, run

NETWORKS = {
    "memory": {},
    "links": {"link": LinkModel(latency_s=0.001)},
    "sockets": {"transport": "tcp"},
    "libp2p": {"transport": "libp2p"},
}


def seen(world: World, by: int) -> list[list[str]]:
    """The addresses of each host, as one host sees them."""
    host = world._network_hosts[by]
    return [list(host.addresses(peer)) for peer in world.peer_ids]


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_each_host_has_an_address_of_its_own_that_its_peers_see(options: dict[str, object]) -> None:
    """While they are connected, and not before or after."""

    async def main() -> None:
        async with World(3, discovery=False, **options) as world:  # type: ignore[arg-type] # options of World
            assert seen(world, by=0) == [[], [], []]
            await world.connect(0, 1)
            await world.connect(2, 0)
            assert seen(world, by=0) == [[], ["10.0.0.2"], ["10.0.0.3"]]
            assert seen(world, by=1) == [["10.0.0.1"], [], []]
            await world.disconnect(0, 1)
            assert seen(world, by=0) == [[], [], ["10.0.0.3"]]

    run(main(), clock="wall" if "transport" in options else "virtual")


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_a_world_gives_hosts_their_addresses_for_all_their_lives(options: dict[str, object]) -> None:
    async def main() -> None:
        async with World(
            3,
            discovery=False,
            addresses=lambda number: f"2001:db8::{number % 2}",
            **options,  # type: ignore[arg-type] # options of World
        ) as world:
            world.crash(1)
            await world.restart(1)
            await world.connect(1, 0)
            await world.connect(2, 0)
            assert seen(world, by=0) == [[], ["2001:db8::1"], ["2001:db8::0"]]

    run(main(), clock="wall" if "transport" in options else "virtual")


def test_a_host_that_comes_back_has_the_address_it_had() -> None:
    async def main() -> None:
        async with World(2, discovery=False) as world:
            world.crash(0)
            await world.restart(0)
            await world.connect(0, 1)
            assert seen(world, by=1) == [["10.0.0.1"], []]

    run(main(), clock="virtual")
