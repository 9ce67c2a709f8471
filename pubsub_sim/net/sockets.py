"""The table of a network's open sockets, so that closing the network leaves none behind."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Sockets:
    """The connected sockets of one network."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Transport, None] = {}
        self._emptied: asyncio.Future[None] | None = None

    def opened(self, transport: asyncio.Transport) -> None:
        """A socket is connected."""
        self._open[transport] = None

    def closed(self, transport: asyncio.Transport) -> None:
        """Its protocol was told that it is no more."""
        self._open.pop(transport, None)
        if not self._open and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    async def drain(self, limit_s: float) -> None:
        """Wait until all have closed by themselves, but no longer than the limit."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._none_open()

    async def close(self) -> None:
        """End all at once, and wait until they have."""
        for transport in self._open:
            transport.abort()
        await self._none_open()

    async def _none_open(self) -> None:
        while self._open:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied
