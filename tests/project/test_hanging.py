"""A test that hangs ends its process, and it is told where everything is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hanging import SLOW_FACTOR

ROOT = Path(__file__).parents[2]

WAITING = """
import asyncio
import threading

async def innermost(event):
    await event.wait()

async def outer(event):
    await innermost(event)

def test_ends():
    pass

def test_waits_for_ever():
    async def main():
        other = asyncio.create_task(outer(asyncio.Event()), name="the other one")
        await asyncio.Event().wait()
    asyncio.run(main())
"""
TURNING = """
import time

import pytest

@pytest.mark.slow
def test_is_meant_to_take_long():
    time.sleep(2.5)

def turning():
    while True:
        time.sleep(0.01)

def test_turns_for_ever():
    turning()
"""


def run(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a text as those of the project, but with a limit of two seconds."""
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (folder / "test_it.py").write_text(text)
    options = ["-o", "hang_limit_s=2", "-o", f"pythonpath={ROOT}", "-c", os.devnull, "--rootdir", str(folder)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def test_a_test_that_waits_for_ever_is_ended_with_the_stacks_of_its_tasks(tmp_path: Path) -> None:
    """What each task awaits is told down to the innermost coroutine, also in a task that nobody awaits."""
    done = run(tmp_path, WAITING)
    assert done.returncode == 1
    said = done.stderr
    assert "test_it.py::test_waits_for_ever has not ended after 2 s" in said
    task = said.partition("Task the other one, innermost await last:")[2]
    assert 0 < task.index("in outer\n") < task.index("in innermost\n") < task.index("in wait\n")
    assert "Thread MainThread" in said
    assert "test_ends" not in said


def test_a_test_that_turns_for_ever_is_ended_with_the_stacks_of_its_threads(tmp_path: Path) -> None:
    """Where the main thread is, down to the innermost call. A test that is marked as slow has more time, and is not ended."""
    done = run(tmp_path, TURNING)
    assert done.returncode == 1
    assert "test_it.py::test_turns_for_ever has not ended after 2 s" in done.stderr
    main = done.stderr.partition("Thread MainThread, innermost call last:")[2]
    assert "in test_turns_for_ever\n" in main
    assert main.rindex("in test_turns_for_ever\n") < main.rindex("in turning\n")
    assert "test_is_meant_to_take_long has not" not in done.stderr


def test_the_limit_is_five_minutes(request: pytest.FixtureRequest) -> None:
    """Unless whoever runs the tests says otherwise; an hour for those that are marked as slow."""
    assert float(request.config.getini("hang_limit_s")) == 300
    assert SLOW_FACTOR * 300 == 3600
