"""What all tests share: the versions every contract is held against, and the packages as they would be installed.

`make check` runs tests in several processes. Those of one `xdist_group` stay together: because they read what a fixture made
once, or, as `kernels`, because Jupyter chooses the ports of a kernel before the kernel has them.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.hanging import pytest_addoption, pytest_configure, pytest_runtest_protocol, pytest_unconfigure

__all__ = [
    "installed",
    "pytest_addoption",
    "pytest_collection",
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_runtest_protocol",
    "pytest_runtest_teardown",
    "pytest_unconfigure",
    "pytest_xdist_auto_num_workers",
    "version",
]

VERSIONS = ("baseline", "states")
MANY = 40
"""Tests of a file from which on they are one unit of work."""

ROOT = Path(__file__).parents[1]
PROJECTS = {"asyncmachine": ROOT, "pubsub_sim": ROOT / "pubsub_sim"}  # the folders with a pyproject.toml

# no deadline: time never decides a test; and what is searched is the same on every machine
settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")

# a shell starts what runs in its background deaf to interrupts, and some tests are about being interrupted
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are processors: tests of sockets, time limits and killed processes wait, a fifth of the time."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (processors or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Look for no garbage while tests are collected: what comes to be then stays, and looking takes a quarter of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file with many of them together: pytest-xdist looks through all units of work after each test."""
    alone = [item for item in items if item.get_closest_marker("xdist_group") is None]
    sizes = Counter(item.path for item in alone)
    for item in alone:
        if sizes[item.path] >= MANY:
            item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}/{item.path.stem}"))


def pytest_collection_finish() -> None:
    """Leave the thousands of tests out of every garbage collection from now on: one takes half a second with them."""
    leave_out_of_collections()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Leave out what the tests of a module have imported, too, once the last of them is over."""
    yield
    if nextitem is None or nextitem.path != item.path:
        leave_out_of_collections()


def leave_out_of_collections() -> None:
    """Free what can be freed, and leave out of every later collection what is there."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each contract test runs once per version, so a difference between them is a failing test."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of each package, built from the working tree: nothing is fetched, and the tree is left as it is."""
    pytest.importorskip("hatchling", reason="the build backend is missing: hatchling, of the group `test`")
    folder = tmp_path_factory.mktemp("wheels")
    for project in PROJECTS.values():
        words = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
        subprocess.run(words, cwd=project, check=True, capture_output=True, text=True)
    return {name: next(folder.glob(f"{name}-*.whl")) for name in PROJECTS}


@pytest.fixture(scope="session")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheels install."""
    folder = tmp_path_factory.mktemp("installed")
    for wheel in wheels.values():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return folder
