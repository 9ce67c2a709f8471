"""environment.yml and requirements.lock say what both pyproject.toml files say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PIP_ONLY = {
    "brotli",
    "graphviz-pure",
    "pdoc",
    "pypandoc-binary",
    "typst",
    "xstate-statemachine",
}  # not on conda-forge, or by another name


OURS = {"asyncmachine", "pubsub-sim"}


def read(folder: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text())


def texts() -> Iterator[str]:
    """What both packages, their extras and the tests need, one requirement after the other."""
    for folder in (".", "pubsub_sim"):
        project = read(folder)["project"]
        yield from project["dependencies"]
        for extra in project["optional-dependencies"].values():
            yield from extra
    yield from read(".")["dependency-groups"]["test"]


def wanted() -> dict[str, SpecifierSet]:
    requirements = [Requirement(text) for text in texts()]
    return {canonicalize_name(r.name): r.specifier for r in requirements if r.name not in OURS}


def test_a_package_has_one_range_wherever_it_is_asked_for() -> None:
    """Both packages and the tests agree on what they need."""
    for text in texts():
        requirement = Requirement(text)
        if requirement.name not in OURS:
            assert requirement.specifier == wanted()[canonicalize_name(requirement.name)], text


def conda_spec(text: str) -> tuple[str, SpecifierSet]:
    match = re.fullmatch(r"([A-Za-z0-9._-]+)\s*(.*)", text)
    assert match, text
    return canonicalize_name(match[1]), SpecifierSet(match[2])


def test_environment_yml_has_the_same_names_and_ranges() -> None:
    """A reader with conda gets the same project."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert set(environment) == {"name", "channels", "dependencies"}
    conda = dict(conda_spec(text) for text in environment["dependencies"] if isinstance(text, str))
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    by_pip = {canonicalize_name(r.name): r.specifier for r in map(Requirement, (t for t in pip if t[0] != "-"))}
    assert conda.pop("python") == SpecifierSet(read(".")["project"]["requires-python"])
    assert "pip" in conda
    del conda["pip"]
    assert set(by_pip) == PIP_ONLY
    assert [text for text in pip if text[0] == "-"] == ["-e .", "-e pubsub_sim"]
    assert {**conda, **by_pip} == wanted()


def test_the_lock_pins_every_requirement_within_its_range() -> None:
    """What `make` installs is what the pyproject.toml files allow, and nothing of it is missing."""
    lines = (ROOT / "requirements.lock").read_text().split("\n")
    pins = dict(line.split(";")[0].strip().split("==") for line in lines if line)
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    for name, specifier in wanted().items():
        assert pinned[name] in specifier


def test_the_lock_names_no_registry() -> None:
    """Versions only: where they come from is the reader's business."""
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://|--|@ ", text)
