"""The pictures of machines in README and report: current, of what is run, and drawn by a command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from asyncmachine.export.drawing import drawing_program
from asyncmachine.export.errors import MissingExtraError
from pubsub_sim.__main__ import main
from pubsub_sim.drivers.states.schemas import BootstrapStates, DiscoveryStates, PubsubStates
from pubsub_sim.drivers.versions import describe_version
from pubsub_sim.recording import pictures

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.fixture
def program() -> Path:
    """What draws; without it there is nothing to compare."""
    try:
        return drawing_program()
    except MissingExtraError as error:
        pytest.skip(str(error))


def test_committed_pictures_are_what_is_drawn_now(program: Path) -> None:
    """Byte by byte, as the package that draws is pinned; another program's pictures differ in their bytes."""
    if program.stem != "graphviz-pure":
        pytest.skip(f"{program.name} draws other bytes than graphviz-pure, which drew the committed pictures")
    drawn = {name: svg.encode() for name, svg in pictures.readme_pictures().items()}
    assert {path.name: path.read_bytes() for path in pictures.default_out().glob("*.svg")} == drawn
    machines = [drawn[name] for name in ("pubsub-host.svg", "discovery.svg", "bootstrap-flow.svg")]
    report = sorted((ROOT / "data" / "report" / "bench_files").glob("machine-*.svg"))
    assert [path.read_bytes() for path in report] == machines, "the report shows the machines that its runs describe"


def test_readme_shows_every_picture() -> None:
    """And no other of that folder."""
    shown = set(re.findall(r"\]\(data/pictures/([^)]+)\)", README))
    assert shown == {path.name for path in pictures.default_out().iterdir()}


def test_the_pictured_connection_is_the_one_in_the_readme() -> None:
    """Its schema, and the states that are active after its first call."""
    code = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)[0]
    scope: dict[str, Any] = {}
    exec(code.partition('machine.add("Connected"')[0], scope)
    states = scope["Connection"].to_dict()
    del states["Exception"]
    assert states == pictures.CONNECTION
    assert scope["machine"].active_states() == pictures.STARTED


def test_described_machines_are_the_schemas_that_run() -> None:
    """A picture from a description holds what the schema holds."""
    machines = describe_version("states")["machines"]
    for machine, schema in zip(machines, (PubsubStates, DiscoveryStates, BootstrapStates), strict=True):
        graph = pictures.graph_of(machine)
        assert graph.relations() == {
            (name, relation, other)
            for name, state in schema.to_dict().items()
            for relation in ("require", "add", "remove", "after")
            for other in state.get(relation, ())
        }
        assert [state.name for state in graph.states] == [name for name in schema.names if name != "Exception"]


def test_command_draws_and_checks(program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1 and the names of those that are stale."""
    folder = tmp_path / "new"
    assert main(["pictures", "--out", str(folder)]) == 0
    assert len(list(folder.iterdir())) == 4
    assert main(["pictures", "--out", str(folder), "--check"]) == 0
    (folder / "connection.svg").write_text("x")
    capsys.readouterr()
    assert main(["pictures", "--out", str(folder), "--check"]) == 1
    assert capsys.readouterr().out == "the pictures are not what is drawn now: connection.svg; draw them again\n"


def test_command_refuses_in_one_sentence(program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown flags and a folder that cannot be made."""
    (tmp_path / "file").write_text("x")
    assert main(["pictures", "--where", "x"]) == 2
    assert main(["pictures", "--out", str(tmp_path / "file" / "folder")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "unrecognized arguments: --where x; --help lists the flags"
    assert lines[1].startswith("cannot write ")
    assert len(lines) == 2
