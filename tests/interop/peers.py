"""Nodes of other implementations as child processes: commands go in as lines, events come out as JSON objects.

A node tells of everything in order; whoever waits for an event takes those before it out of the way, and can look at all of
them later. No wait is longer than its limit.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

Event = dict[str, Any]

GO = shutil.which("go")
PROGRAM = Path(__file__).parent / "go_node"
BUILD_LIMIT_S, READY_LIMIT_S, EVENT_LIMIT_S, QUIT_LIMIT_S = 300, 15.0, 10.0, 5.0


def build(into: Path) -> Path:
    """The Go node, built once for all tests; a warm build takes a fraction of a second."""
    assert GO is not None
    program = into / "go-node"
    subprocess.run(
        [GO, "build", "-trimpath", "-buildvcs=false", "-o", str(program), "."],
        cwd=PROGRAM,
        check=True,
        timeout=BUILD_LIMIT_S,
    )
    return program


class Peer:
    """A running node of another implementation.

    Args:
        process: the child.

    Attributes:
        address: where it listens.
        peer: its id as text.
        events: all it has told so far.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.events: list[Event] = []
        self._told = asyncio.Condition()
        self._is_over = False
        self.address = ""
        self.peer = ""
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            async with self._told:
                self.events.append(json.loads(line))
                self._told.notify_all()
        async with self._told:
            self._is_over = True
            self._told.notify_all()

    def send(self, *words: object) -> None:
        """A command."""
        assert self._process.stdin is not None
        self._process.stdin.write((" ".join(map(str, words)) + "\n").encode())

    async def do(self, *words: object) -> None:
        """A command, until it is done."""
        before = len(self.events)
        self.send(*words)
        done = await self.when(lambda e: e["event"] in ("done", "error") and e["command"] == words[0], since=before)
        assert done["event"] == "done", done

    async def when(
        self, is_wanted: Callable[[Event], bool], *, since: int = 0, limit_s: float = EVENT_LIMIT_S
    ) -> Event:
        """The first event of a kind, there already or still to come."""
        at = since
        try:
            async with asyncio.timeout(limit_s), self._told:
                while True:
                    while at < len(self.events):
                        if is_wanted(self.events[at]):
                            return self.events[at]
                        at += 1
                    assert not self._is_over, f"the node has ended; it told {self.events[-5:]}"
                    await self._told.wait()
        except TimeoutError:
            raise AssertionError(f"no such event within {limit_s:g} s; the last ones: {self.events[-12:]}") from None

    async def when_event(self, name: str, *, limit_s: float = EVENT_LIMIT_S, since: int = 0, **facts: object) -> Event:
        """The first event of a name with these facts."""
        return await self.when(
            lambda e: e["event"] == name and all(e.get(key) == value for key, value in facts.items()),
            limit_s=limit_s,
            since=since,
        )

    def messages(self, topic: str | None = None) -> list[tuple[str, str]]:
        """Author and text of all messages so far."""
        found = [e for e in self.events if e["event"] == "message" and topic in (None, e["topic"])]
        return [(e["from"], e["text"]) for e in found]

    async def when_messages(self, count: int, topic: str | None = None) -> list[tuple[str, str]]:
        """All messages, once there are so many."""
        await self.when(lambda e: e["event"] == "message" and len(self.messages(topic)) >= count)
        return self.messages(topic)

    async def kill(self) -> None:
        """End it without a word."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._reader

    async def close(self) -> None:
        """Let it end by itself; kill it if it does not."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(QUIT_LIMIT_S):
                await self._process.wait()
                await self._reader
        except TimeoutError:
            await self.kill()


@asynccontextmanager
async def started(command: Sequence[str]) -> AsyncIterator[Peer]:
    """A node, ready; it has ended afterwards, whatever happens."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 22
    )
    peer = Peer(process)
    try:
        ready = await peer.when_event("ready", limit_s=READY_LIMIT_S)
        peer.address, peer.peer = ready["address"], ready["peer"]
        yield peer
    finally:
        await peer.close()
