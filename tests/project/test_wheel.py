"""What a user of the library alone gets: one wheel that needs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.xdist_group("wheel")

LOADED = """
import json, sys
before = set(sys.modules)
sys.path.append({folder!r})
import asyncmachine
print(json.dumps([asyncmachine.__file__, sorted(set(sys.modules) - before)]))
"""


def distribution(installed: Path) -> PathDistribution:
    (info,) = installed.glob("*.dist-info")
    return PathDistribution(info)


def test_the_wheel_requires_nothing(installed: Path) -> None:
    """Every requirement belongs to an extra: `pip install asyncmachine` installs one package."""
    requirements = [Requirement(text) for text in distribution(installed).requires or ()]
    assert len(requirements) > 10
    for requirement in requirements:
        assert requirement.marker is not None, requirement
        assert not requirement.marker.evaluate({"extra": ""}), requirement


def test_the_wheel_holds_both_packages_and_their_types(installed: Path) -> None:
    """Both packages are there, typed, with no test or notebook among them."""
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {"asyncmachine", "pubsub_sim"}
    assert (installed / "asyncmachine" / "py.typed").is_file()
    assert (installed / "pubsub_sim" / "py.typed").is_file()


def test_the_wheel_holds_what_pages_are_made_of(installed: Path) -> None:
    """A timeline is written from an installed library as from a clone."""
    names = {path.name for path in (installed / "asyncmachine" / "export" / "timeline").iterdir()}
    assert {"page.css", "page.html", "page.js", "timeline.js"} <= names


@pytest.mark.parametrize("options", [("-I", "-S"), ("-I", "-S", "-W", "error")])
def test_the_library_imports_the_standard_library_only(installed: Path, options: tuple[str, ...]) -> None:
    """In an interpreter that sees nothing else, the import works, without a warning."""
    code = LOADED.format(folder=str(installed))
    done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=True)
    file, loaded = json.loads(done.stdout)
    assert Path(file).is_relative_to(installed)
    assert {name.split(".")[0] for name in loaded} - sys.stdlib_module_names == {"asyncmachine"}
    assert done.stderr == ""
