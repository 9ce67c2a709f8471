"""A user's program is checked by mypy, strictly, against the library as it is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("wheel")

PROGRAM = '''\
"""Downloads once connected."""

import asyncio

from asyncmachine import Event, Machine, Result, Schema, State, StateContext, Tracer, Transition


class Client(Schema):
    Connected = State()
    Downloading = State(auto=True, require=[Connected])
    Done = State(multi=True, require=[Connected], remove=[Downloading])


class Handlers:
    def __init__(self) -> None:
        self.pages: list[str] = []

    def ConnectedEnter(self, e: Event) -> bool:
        return "address" in e.args

    async def DownloadingState(self, e: Event) -> None:
        await asyncio.sleep(0)
        result: Result = e.add(Client.Done, pages=["page"])
        assert result.executed

    def DoneState(self, e: Event) -> None:
        self.pages += e.args["pages"]


class Count(Tracer):
    def __init__(self) -> None:
        self.accepted = 0

    def transition_end(self, tx: Transition) -> None:
        self.accepted += tx.accepted


async def main() -> list[str]:
    handlers = Handlers()
    m = Machine(Client, handlers=handlers, tracers=[Count()])
    refused: Result = m.add(Client.Connected)
    assert refused == Result.CANCELED
    args = m.when_args(Client.Done)
    m.add(Client.Connected, address="here")
    context: StateContext = m.state_ctx(Client.Connected)
    pages: object = (await args)["pages"]
    async with asyncio.timeout(5):
        await m.when(Client.Done)
    count: int = await m.eval_soon(len, handlers.pages)
    assert (count, pages, context.expired) == (1, ["page"], False)
    m.dispose()
    await m.disposed()
    return handlers.pages


if __name__ == "__main__":
    print(asyncio.run(main()))
'''
MISTAKES = [
    ("refused: Result =", "refused: bool =", "assignment"),
    ("m.when_args(Client.Done)", "m.when_args(3)", "arg-type"),
    ("m.state_ctx(", "m.state_context(", "attr-defined"),
    ("State(multi=True", "State(multiple=True", "call-arg"),
]


def check(program: str, folder: Path, installed: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "program.py"
    path.write_text(program)
    command = [sys.executable, "-P", "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(folder.parent / "cache"), str(path)]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("right", "wrong", "code"), [("", "", ""), *MISTAKES])
def test_mypy(right: str, wrong: str, code: str, tmp_path: Path, installed: Path) -> None:
    """The program passes as it is, and each mistake is found where it is made."""
    assert right in PROGRAM
    done = check(PROGRAM.replace(right, wrong) if right else PROGRAM, tmp_path, installed)
    assert done.stderr == ""
    found = re.findall(r"error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE)
    assert found[:1] == [code] * bool(code), done.stdout
    assert done.returncode == bool(code)


def test_the_program_runs(tmp_path: Path, installed: Path) -> None:
    """What is checked also works."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    done = subprocess.run([sys.executable, str(path)], env={**os.environ, "PYTHONPATH": str(installed)}, capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.stdout, done.stderr) == ("['page']\n", "")
