"""What several modules of tests of networks share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pubsub_sim import run
from pubsub_sim.libp2p.noise import NOISE
from pubsub_sim.libp2p.plaintext import PLAINTEXT
from tests.net.libp2p_hosts import (
    LIMIT_S,
    Net,
    Play,
    three_hosts,
)


@pytest.fixture(params=["asyncio noise", "uvloop noise", "uvloop plaintext"])
def play(request: pytest.FixtureRequest) -> Play:
    """Runs a script with three hosts of the libp2p network, on each loop, and without encryption."""
    loop, security = request.param.split()

    def play_on(script: Callable[[Net], Awaitable[None]]) -> None:
        async def main() -> list[object]:
            async with three_hosts(NOISE if security == "noise" else PLAINTEXT) as net:
                async with asyncio.timeout(LIMIT_S):
                    await script(net)
            return net.unhandled

        assert run(main(), loop=loop) == []

    return play_on
