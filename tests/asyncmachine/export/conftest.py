"""The scripted run, recorded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncmachine.record import Record
from tests.asyncmachine.export.scripted import play

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def scripted_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of the scripted run at level `full`."""
    path = tmp_path_factory.mktemp("scripted") / "run.sqlite"
    play(path)
    return path


@pytest.fixture
def record(scripted_path: Path) -> Iterator[Record]:
    """The same, open."""
    with Record.open(scripted_path) as opened:
        yield opened
