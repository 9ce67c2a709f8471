"""Programs of others that speak the worker's protocol: measured by their name, whatever they are written in."""

import ast
import sys
from pathlib import Path
from typing import Any

import pytest

from pubsub_sim.bench import peers
from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.bench.sweep import sweep
from pubsub_sim.errors import OptionError
from pubsub_sim.results import Store, wide

EXAMPLE = Path(__file__).parent / "examples" / "own_program.py"


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """A sweep of one pair beside which a program runs."""
    return {
        "versions": "baseline",
        "hosts": 3,
        "messages": 2,
        "repeats": 1,
        "comparator_repeats": 1,
        "programs": f"mine={sys.executable} {EXAMPLE}",
        "out": str(tmp_path / "runs"),
        "progress": "none",
        "share": True,
    }


def test_program_is_a_comparator_by_its_name(options: dict[str, Any], tmp_path: Path) -> None:
    """Its numbers stand beside ours over sockets, signed and not; what it does not tell fails nobody."""
    result = sweep(SweepOptions(comparators=["mine"], **options))
    assert dict(result.outcomes) == {"ok": 1 + 8 + 2 + 2}
    runs = wide(Store(tmp_path / "runs").load())
    mine = runs.loc[runs["version"] == "mine"]
    assert sorted(zip(mine["transport"], mine["loop"], mine["sign"], strict=True)) == [
        ("tcp", "uvloop", "none"),
        ("tcp", "uvloop", "strict"),
    ]
    assert set(mine["rand msgs/rpcs"]) == {8.0}
    described = Store(tmp_path / "runs").provenance()["versions"]["mine"]
    assert described == {"summary": "sets, and no network", "machines": [], "also": ["keeps every message"]}


def test_program_can_be_a_version_of_the_grid(options: dict[str, Any]) -> None:
    """Named among the versions it is paired in every cell."""
    result = sweep(SweepOptions(**options | {"versions": "baseline,mine"}))
    assert (result.planned, dict(result.outcomes)) == (2, {"ok": 2})


def test_example_of_a_program_is_short() -> None:
    """About thirty lines are enough, and it imports the standard library only."""
    source = EXAMPLE.read_text()
    assert len([line for line in source.splitlines() if line]) <= 32
    imported = {
        alias.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import) for alias in node.names
    }
    assert imported <= sys.stdlib_module_names


def test_program_that_cannot_be_started_is_a_failed_run(options: dict[str, Any]) -> None:
    """A wrong path is a record with a sentence, and the others are run."""
    result = sweep(SweepOptions(**options | {"versions": "baseline,mine", "programs": "mine=/no/such/program"}))
    assert dict(result.outcomes) == {"ok": 1, "failed": 1}
    (sentence,) = result.failures.values()
    assert sentence == "the program cannot be started: No such file or directory"


@pytest.mark.parametrize("text", ["mine", "mine=", "=python x.py", "states=python x.py", "lower-bound=python x.py"])
def test_bad_program_is_one_sentence(text: str) -> None:
    """A text without a name or a command, and the name of a version that is there already, are refused."""
    with pytest.raises(OptionError, match="programs: expected a new name and a command"):
        SweepOptions(programs=text)


def test_programs_of_peers_import_nothing_of_this_project() -> None:
    """They run in environments where it is not installed."""
    for path in Path(peers.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"pubsub_sim", "asyncmachine"}, path
