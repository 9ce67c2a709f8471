"""The networks on which a node's promises are held."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["memory", "tcp on asyncio", "tcp on uvloop", "libp2p on asyncio", "libp2p on uvloop"])
def transport(request: pytest.FixtureRequest) -> str:
    """What a node promises does not depend on its network: in memory on the virtual clock, over sockets on the wall's."""
    name: str = request.param
    return name
