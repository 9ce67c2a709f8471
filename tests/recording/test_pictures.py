"""The pictures in README, the guides and the report: current, of what is run, and drawn by a command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from asyncmachine import Machine
from asyncmachine.export.drawing import drawing_program
from asyncmachine.export.errors import MissingExtraError
from pubsub_sim.__main__ import main
from pubsub_sim.drivers.states.schemas import BootstrapStates, DiscoveryStates, PubsubStates
from pubsub_sim.drivers.versions import describe_version
from pubsub_sim.recording import pictures

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "asyncmachine/README.md", "pubsub_sim/README.md")]


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
    drawn = {name: svg.encode() for name, svg in pictures.guide_pictures().items()}
    assert {path.name: path.read_bytes() for path in pictures.default_out().glob("*.svg")} == drawn


def test_the_report_shows_every_state_of_its_machines() -> None:
    """One picture holds the three machines of the version `states`; Exception, which every machine has, is left out."""
    shown = (ROOT / "data" / "report" / "bench_files" / "machines-states.svg").read_text()
    for schema in (PubsubStates, DiscoveryStates, BootstrapStates):
        assert [name for name in schema.names if name != "Exception" and f">{name}" not in shown] == []


def test_the_pages_show_every_picture() -> None:
    """And no other of that folder."""
    shown = {name for page in PAGES for name in re.findall(r"\]\((?:\.\./)?data/pictures/([^)]+)\)", page.read_text())}
    assert shown == {path.name for path in pictures.default_out().iterdir()}


def scope_of(page: Path, name: str, end: str) -> dict[str, Any]:
    """Run the page's first snippet that defines a class, up to a line, and give what it defines."""
    snippets = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    code = next(snippet for snippet in snippets if f"class {name}(Schema)" in snippet)
    scope: dict[str, Any] = {}
    exec(code.partition(end)[0], scope)
    return scope


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda page: page.parent.name)
def test_the_pictured_connection_is_the_one_on_the_page(page: Path) -> None:
    """Its schema, and the states that are active after its first call."""
    scope = scope_of(page, "Connection", ".add(")
    states = scope["Connection"].to_dict()
    del states["Exception"]
    assert states == pictures.CONNECTION
    machine = Machine(scope["Connection"])
    machine.add("Start")
    assert machine.active_states() == pictures.STARTED


def test_the_pictured_download_is_the_one_in_the_guide() -> None:
    """Its schema, relation by relation."""
    states = scope_of(PAGES[1], "Download", "machine = ")["Download"].to_dict()
    del states["Exception"]
    assert states == pictures.DOWNLOAD


def test_the_pictured_transition_runs_the_handlers_of_the_guide() -> None:
    """The states of the guide's snippet are those of the picture, and its handlers are in it, in their order."""
    code = next(
        one
        for one in re.findall(r"```python\n(.*?)```", PAGES[1].read_text(), flags=re.DOTALL)
        if "ConnectedEnter" in one
    )
    scope: dict[str, Any] = {}
    exec(code.partition("machine.add(")[0], scope)
    assert scope["states"] == pictures.CONNECTION
    picture = pictures.transition_picture()
    places = [picture.index(word) for word in (">called<", ">removes<", ">ConnectedEnter<", ">ConnectedState<")]
    assert places == sorted(places)


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
    assert len(list(folder.iterdir())) == 7
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
