"""Diagrams in DOT and as SVG: what is written, that it is drawn, and what happens where nothing draws."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from asyncmachine import Machine
from asyncmachine.export import drawing
from asyncmachine.export.diagrams import draw
from asyncmachine.export.drawing import DrawingError, Svg, drawing_program, svg
from asyncmachine.export.errors import MissingExtraError
from asyncmachine.export.looks import LOOSE, MUTUAL, WORDS, printable
from asyncmachine.export.relation_graph import RelationGraph
from tests.asyncmachine.export.schemas_drawn import ODD_NAMES, Everything, every_schema, relations_of

SCHEMAS = every_schema()
TEXT = r'"((?:[^"\\]|\\.)*)"'
NODE = re.compile(rf" +{TEXT} \[label={TEXT}")
EDGE = re.compile(rf"  {TEXT} -> {TEXT} \[class=(\w+), (.*)\]")
CELL = re.compile(r"<TD(?: (?!COLSPAN)[^>]*)?>([^<]*)</TD>")


def plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def read(dot: str) -> tuple[set[str], set[tuple[str, str, str]]]:
    """Read states and relations back from DOT, without the model that wrote it."""
    nodes: dict[str, str] = {}
    boxes: list[list[str]] = []
    relations: set[tuple[str, str, str]] = set()
    for line in dot.splitlines():
        if line.startswith("  subgraph"):
            boxes.append([])
        elif found := NODE.match(line):
            nodes[found[1]] = html.unescape(plain(found[2]))
            if line.startswith("    "):
                boxes[-1].append(nodes[found[1]])
    clusters = re.findall(r"subgraph (cluster_\d+)", dot)
    inside = dict(zip(clusters, boxes, strict=True))
    for group in boxes:
        relations |= {(a, "remove", b) for a in group for b in group if a != b}
    for line in dot.splitlines():
        if found := EDGE.match(line):
            ends = [[nodes[found[1]]], [nodes[found[2]]]]
            for number, place in enumerate(("ltail", "lhead")):
                if box := re.search(rf"{place}=(\w+)", found[4]):
                    ends[number] = inside[box[1]]
            if "dir=back" in found[4]:
                ends.reverse()
            relations |= {(a, found[3], b) for a in ends[0] for b in ends[1]}
            if "dir=both" in found[4]:
                relations |= {(b, found[3], a) for a in ends[0] for b in ends[1]}
    return set(nodes.values()) | {html.unescape(name) for name in CELL.findall(dot)}, relations


def texts(document: str) -> set[str]:
    """All that is written in an SVG document."""
    return {
        "".join(one.itertext()).replace("\xa0", " ")
        for one in ElementTree.fromstring(document).iter("{http://www.w3.org/2000/svg}text")
    }


@pytest.mark.parametrize("name", SCHEMAS)
def test_dot_holds_the_schema_and_is_drawn_with_every_name(name: str) -> None:
    """Read back from the text, states and relations are the schema's; the picture shows each name as it is."""
    graph = RelationGraph.of(SCHEMAS[name])
    names = {printable(state.name) for state in graph.states}
    states, relations = read(draw(graph, "dot"))
    assert states == names
    assert relations == {(printable(a), r, printable(b)) for a, r, b in relations_of(SCHEMAS[name])}
    assert names <= texts(draw(graph))


def test_relations_are_told_apart_by_word_head_and_colour() -> None:
    """Nobody has to see colours, and nobody has to read."""
    dot = draw(RelationGraph.of(Everything.to_dict()), "dot")
    looks = set()
    for relation, word in WORDS.items():
        lines = [line for line in dot.splitlines() if f"class={relation}" in line]
        assert lines
        assert all(f'label="{word}"' in line or f'label="{MUTUAL}"' in line for line in lines)
        looks |= {re.search(r'color="(#\w+)"', line)[1] for line in lines}  # type: ignore[index]
    assert len(looks) == len(WORDS)


def test_active_auto_and_multi_are_seen_and_explained() -> None:
    """Filled, dashed and thick, at a state of its own and in the table alike; the key says what occurs and no more."""
    machine = Machine({"A": {"auto": True, "require": ["B"]}, "B": {"multi": True}, "C": {}, "D": {"auto": True}})
    machine.add("B")
    lines = machine.diagram("dot").splitlines()
    (a,) = (line for line in lines if 'label="A"' in line)
    (b,) = (line for line in lines if 'label="B"' in line)
    assert "fillcolor" in a
    assert "dashed" in a
    assert "penwidth" not in a
    assert "fillcolor" in b
    assert "penwidth" in b
    assert "dashed" not in b
    (table,) = (line for line in lines if "<TABLE" in line)
    assert "<TD>C</TD>" in table
    assert re.search(r'<TD BGCOLOR="#\w+" STYLE="dashed">D</TD>', table)
    assert LOOSE in table
    words = re.findall(r">([a-z ]+: [^<]*)<", table)
    assert [one.partition(",")[0] for one in words] == [
        "filled: active",
        "dashed outline: auto",
        "thick outline: multi",
    ]
    plainest = draw(RelationGraph.of({"A": {"require": ["B"]}, "B": {}}), "dot")
    assert "outline" not in plainest
    assert "<TABLE" not in plainest


def test_a_schema_without_states_is_drawn() -> None:
    """An empty picture, no error."""
    graph = RelationGraph.of({"Exception": {}})
    assert texts(draw(graph)) == set()
    assert draw(graph, "text") == "states: 0 states\n"


def test_a_picture_is_the_same_bytes_and_tells_nothing_of_its_making() -> None:
    """No comment, id, date, version or path; the letters have families that other machines know."""
    pictures = {draw(RelationGraph.of(SCHEMAS["Everything"], name="x")) for _ in range(3)}
    assert len(pictures) == 1
    (picture,) = pictures
    assert picture.startswith('<svg role="img" font-family="DejaVu Sans,Verdana,sans-serif" ')
    assert not re.search(r"<!--|<\?| id=|[Gg]raphviz|/tmp|xlink", picture)
    assert re.findall(r"<title>(.*?)</title>", picture) == ["x"]


def test_pictures_of_real_schemas_are_no_wider_than_a_page() -> None:
    """600 points, a little more than the text of an A4 page, so that nothing has to be shrunk much."""
    for name in set(SCHEMAS) - {"Everything", "odd names"}:
        width = re.search(r'width="(\d+)pt"', draw(RelationGraph.of(SCHEMAS[name])))
        assert width is not None
        assert int(width[1]) <= 600, name


def test_names_of_one_look_stay_apart() -> None:
    """Two names that cannot be shown and look alike are two states."""
    states = {"a\n": {"require": ["a\t"]}, "a\t": {}}
    assert len({line for line in draw(RelationGraph.of(states), "dot").splitlines() if "[label=" in line}) == 2


def test_names_in_other_scripts_have_room() -> None:
    """A drawing program that does not know the letters is told the width."""
    dot = draw(RelationGraph.of({"状态状态状态": {"require": ["жука"]}, "жука": {}, "状态": {}}), "dot")
    assert [float(width) for width in re.findall(r"width=([\d.]+)", dot)] == pytest.approx([0.61, 1.08], abs=0.01)
    assert 'WIDTH="30"' in dot


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No package that draws, and a PATH that leads to one empty folder."""
    monkeypatch.setattr(drawing, "PACKAGE", "there-is-no-such-package")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, text: str) -> None:
    """Put a program `dot` in a folder."""
    path = folder / "dot"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)


def test_where_nothing_draws_one_sentence_says_what_to_install(without_package: Path) -> None:
    """Text formats go on working."""
    with pytest.raises(MissingExtraError) as raised:
        Everything.diagram()
    assert str(raised.value) == (
        "a picture needs the package 'there-is-no-such-package': pip install 'asyncmachine[diagrams]'"
    )
    assert raised.value.extra == "diagrams"
    assert Everything.diagram("dot").startswith("digraph")


def test_any_dot_on_the_path_draws(without_package: Path) -> None:
    """It gets the diagram on stdin, and what it adds about itself is taken out."""
    program(
        without_package,
        "import sys\nassert sys.argv[1:] == ['-Tsvg'] and sys.stdin.read() == 'digraph {}'\n"
        'print(\'<?xml?><!DOCTYPE svg>\\n<!-- by dot -->\\n<svg width="1pt">\\n<g id="a" class="graph"></g></svg>\')',
    )
    assert drawing_program() == without_package / "dot"
    assert svg("digraph {}") == (
        '<svg role="img" font-family="DejaVu Sans,Verdana,sans-serif" width="1pt">\n<g class="graph"></g></svg>\n'
    )


def test_a_package_without_its_program_is_passed_over(without_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system for which it has no wheel with one."""
    monkeypatch.setattr(drawing, "PACKAGE", "packaging")
    program(without_package, "")
    assert drawing_program() == without_package / "dot"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import sys; sys.exit('Error: syntax error\\nmore')", "dot could not draw the diagram: Error: syntax error"),
        ("import time; time.sleep(60)", "dot could not draw the diagram: it took longer than 0.5 s"),
    ],
)
def test_a_program_that_fails_is_one_sentence(
    without_package: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    """Refusing, or taking too long."""
    monkeypatch.setattr(drawing, "LIMIT_S", 0.5)
    program(without_package, text)
    with pytest.raises(DrawingError) as raised:
        svg("digraph {}")
    assert str(raised.value) == says
    assert raised.value.program == "dot"


def test_a_program_that_cannot_be_started_is_one_sentence(without_package: Path) -> None:
    """Something called dot that is no program."""
    (without_package / "dot").write_text("#!/there/is/no/such/interpreter\n")
    (without_package / "dot").chmod(0o755)
    with pytest.raises(DrawingError, match="dot could not draw the diagram: No such file"):
        svg("digraph {}")


def test_the_package_is_found_without_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In an environment that is not activated its programs are not on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert drawing_program().stem == "graphviz-pure"
    assert isinstance(svg("digraph {a}"), Svg)


def test_a_syntax_error_of_the_real_program_is_told() -> None:
    """In its own words."""
    with pytest.raises(DrawingError, match="syntax error"):
        svg("digraph { a -> ")


def test_importing_and_making_machines_loads_nothing_that_draws() -> None:
    """Who asks for no picture pays for none."""
    code = (
        "import sys; from asyncmachine import Machine; Machine({'A': {}}).add('A')\n"
        "assert not [name for name in sys.modules if name.startswith('asyncmachine.export')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_odd_names_are_many() -> None:
    """The names that need quoting are all there, each once."""
    assert len(set(ODD_NAMES)) == len(ODD_NAMES) > 30
