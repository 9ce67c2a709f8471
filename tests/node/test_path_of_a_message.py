"""The way of a message from `publish` to another host's `next()`: calls of our functions, files, and moves between files.

Two hosts, memory, signed, no discovery; a message has been sent before, so that nothing is done for the first time.
By hand, also for another checkout: `PYTHONPATH=CHECKOUT python tests/node/test_path_of_a_message.py`.
"""

from __future__ import annotations

import sys
from inspect import CO_COROUTINE
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest

from pubsub_sim import World, run

OURS = ("pubsub_sim", "asyncmachine")


class Course(NamedTuple):
    """What was called.

    Attributes:
        calls: our functions, in order; a coroutine counts once, however often it is resumed.
        files: how many they are in.
        moves: how often a call is in another file than the one before it.
    """

    calls: list[str]
    files: int
    moves: int


def course_of(version: str) -> Course:
    """Follow one message."""
    frames: list[tuple[str, str]] = []
    coroutines: set[FrameType] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event != "call" or frame in coroutines:
            return
        parts = Path(frame.f_code.co_filename).parts
        room = next((part for part in parts if part in OURS), None)
        if room is not None:
            if frame.f_code.co_flags & CO_COROUTINE:
                coroutines.add(frame)
            frames.append(("/".join(parts[parts.index(room) :]), frame.f_code.co_qualname))

    async def main() -> None:
        async with World(2, version=version, discovery=False, trace=True) as world:
            await world.connect(0, 1)
            topic = await world.pubsubs[0].join("t")
            subscription = await (await world.pubsubs[1].join("t")).subscribe()
            await world.settle()
            await topic.publish(b"first")
            await subscription.next()
            await world.settle()
            sys.setprofile(note)
            try:
                await topic.publish(b"second")
                await subscription.next()
            finally:
                sys.setprofile(None)

    run(main(), clock="wall", loop="asyncio")
    files = [file for file, _ in frames]
    moves = sum(one != other for one, other in pairwise(files))
    return Course([f"{file}: {name}" for file, name in frames], len(set(files)), moves)


@pytest.mark.parametrize(("version", "most"), [("baseline", 96), ("states", 115), ("direct", 86)])
def test_a_message_takes_no_more_calls_than_it_did(version: str, most: int) -> None:
    """The numbers are those of this script on the version before the inbox was shared (0297c9e)."""
    assert len(course_of(version).calls) <= most


if __name__ == "__main__":
    for name in ("baseline", "states", "direct"):
        course = course_of(name)
        print(f"{name}: {len(course.calls)} calls, {course.files} files, {course.moves} moves")
        if "-v" in sys.argv:
            print("\n".join(f"  {call}" for call in course.calls))
