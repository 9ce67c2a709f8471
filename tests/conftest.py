"""What all tests share: the versions every contract is held against, and the package as it would be installed.

`make check` runs tests in several processes. Those of one `xdist_group` stay together: because they read what a fixture made
once, or, as `kernels`, because Jupyter chooses the ports of a kernel before the kernel has them.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import settings

from tests.hanging import pytest_addoption, pytest_configure, pytest_runtest_protocol, pytest_unconfigure

__all__ = [
    "installed",
    "pytest_addoption",
    "pytest_configure",
    "pytest_runtest_protocol",
    "pytest_unconfigure",
    "version",
]

VERSIONS = ("baseline", "states")
ROOT = Path(__file__).parents[1]
OLDEST_SETUPTOOLS = 77  # of pyproject's [build-system]

# no deadline: time never decides a test; and what is searched is the same on every machine
settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")

# a shell starts what runs in its background deaf to interrupts, and some tests are about being interrupted
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each contract test runs once per version, so a difference between them is a failing test."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the built wheel installs: nothing is fetched, and the working tree is left as it is."""
    try:
        major = int(metadata.version("setuptools").split(".")[0])
    except metadata.PackageNotFoundError:
        major = 0
    if major < OLDEST_SETUPTOOLS:
        pytest.skip(f"the build backend is missing: expected setuptools >= {OLDEST_SETUPTOOLS} (extra `test`)")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("asyncmachine", "pubsub_sim"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True, text=True)
    (wheel,) = (source / "dist").glob("*.whl")
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder
