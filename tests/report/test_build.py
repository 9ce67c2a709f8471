"""The report on disk: complete, the same bytes for the same data, never half-written."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pytest
from nbformat import NotebookNode, v4

from pubsub_sim.__main__ import main
from pubsub_sim.errors import OptionError
from pubsub_sim.report import build
from pubsub_sim.report.build import build_report, execute_findings, remove_absent, split_appendix
from pubsub_sim.report.display import ABSENT
from pubsub_sim.report.errors import ForeignFilesError, UnwritableReportError
from pubsub_sim.report.formatting import format_number
from pubsub_sim.report.options import ReportOptions
from pubsub_sim.results import write_engine
from tests.report.runs import write_sweep
from tests.results.engine_runs import an_engine
from tests.results.load_runs import write_load

pytestmark = pytest.mark.xdist_group("kernels")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny sweep of two versions, with all that a sweep can hold: watched runs, the engine's own benchmark, runs under load."""
    folder = write_sweep(tmp_path_factory.mktemp("sweeps") / "tiny", repeats=2, watched=True)
    write_engine(folder, an_engine())
    return write_load(folder)


Notebooks = dict[str, NotebookNode]


@pytest.fixture(scope="module")
def executed() -> Notebooks:
    """What the findings notebook showed when the report of the tiny sweep was built; empty before."""
    return {}


@pytest.fixture(scope="module")
def report(sweep: Path, executed: Notebooks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the tiny sweep."""
    out = tmp_path_factory.mktemp("reports") / "report"

    def execute(options: ReportOptions) -> Notebooks:
        found = execute_findings(options)
        executed.update(copy.deepcopy(found))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "execute_findings", execute)
        build_report(str(sweep), out)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


MAIN = {"ratio", "duration-net", "cpu", "original", "machines-states", "load"}
APPENDIX = set("control nine-charts more-medians runs-duration-net runs-cpu scaling phases engine published".split())


def test_report_has_every_form(report: Path) -> None:
    """Report and appendix as Markdown with figures, PDF and HTML, and the summary; nothing else."""
    assert contents(report).keys() == {
        *(f"{name}.{ending}" for name in ("bench", "appendix") for ending in ("md", "pdf", "html")),
        "summary.json",
        *(f"bench_files/{name}.svg" for name in MAIN | APPENDIX),
    }


@pytest.mark.parametrize(("name", "figures"), [("bench", MAIN), ("appendix", APPENDIX)])
def test_markdown_refers_to_the_figures_that_are_there(report: Path, name: str, figures: set[str]) -> None:
    """Every picture of a page is a file beside it."""
    shown = re.findall(r"\]\(bench_files/([^)]+)\.svg\)", (report / f"{name}.md").read_text())
    assert sorted(shown) == sorted(figures)


@pytest.mark.parametrize("name", ["bench", "appendix"])
def test_every_link_of_the_contents_leads_somewhere(report: Path, name: str) -> None:
    """In Markdown to an anchor, in HTML to a heading."""
    text, page = (report / f"{name}.md").read_text(), (report / f"{name}.html").read_text()
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert len(links) > 5
    for link in links:
        assert text.count(f'<a id="{link}"></a>') == 1
        assert len(re.findall(rf'<h[1-6] id="{link}">', page)) == 1


def test_report_fits_on_about_nine_pages(report: Path) -> None:
    """The full tables are in the appendix."""
    with pikepdf.open(report / "bench.pdf") as document:
        assert 6 <= len(document.pages) <= 10


def test_report_holds_the_engine(report: Path) -> None:
    """One sentence sets others beside it in the report; the figure and the tables are in the appendix."""
    assert "transitions 60.0 times" in (report / "bench.md").read_text()
    text = (report / "appendix.md").read_text()
    assert "](bench_files/engine.svg)" in text
    assert "| add and remove | mutation | 110 (100\N{EN DASH}120) | ns |" in text
    assert "### Contract" in text


def test_report_holds_the_load(report: Path) -> None:
    """A table and a curve are in the report, the table of every load is in the appendix."""
    text, appendix = (report / "bench.md").read_text(), (report / "appendix.md").read_text()
    assert "](bench_files/load.svg)" in text
    assert "| `states` | 623 (605\N{EN DASH}643) | 2 | 2.13 / 21.3 |" in text
    assert "`lower-bound`, 5 hosts, 5 publishers, unsigned" in appendix
    assert "| 8 in flight each |" in appendix
    assert "## Under load" in text
    assert "## Under load" in appendix


def test_report_says_the_headline(report: Path) -> None:
    """The first page has the ratio, injected from the data."""
    assert "**1.13 times** the duration without fixed waits" in (report / "bench.md").read_text()
    assert json.loads((report / "summary.json").read_text())["sweep"] == "tiny"


def test_a_whole_sweep_leaves_no_number_open(report: Path) -> None:
    """Nothing is told as not a number, and the commit of the runs is named."""
    text = (report / "bench.md").read_text() + (report / "appendix.md").read_text()
    assert "nan" not in text.lower().replace("provenance", "")
    assert "| commit | 0123456789ab |" in text


def numbers_in(value: object) -> Iterator[float]:
    """Give every number of a JSON document."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(part)


def test_every_number_of_the_results_is_in_the_summary(report: Path) -> None:
    """Prose, tables and captions say nothing that another program could not read, to the places that they show."""
    known = set()
    summary = json.loads((report / "summary.json").read_text())
    in_us = [value / 1000 for value in numbers_in(summary["engine"]["costs"])]  # beside what was measured in runs
    for value in [*numbers_in(summary), *in_us]:
        # The summary has six figures, so what lies half-way between two shorter numbers may have come from either side.
        for near in (value, value * (1 - 1e-6), value * (1 + 1e-6)):
            known |= {format_number(abs(near), places=places) for places in range(-6, 7)}
    results = (report / "bench.md").read_text().partition("\n## Results")[2].partition("\n## Threats")[0]
    results += (
        (report / "appendix.md").read_text().partition("\n## Ratios over the grid")[2].partition("\n## Reproduction")[0]
    )
    words = re.sub(
        r"`[^`]*`|<a [^>]*>|\]\([^)]*\)|\(Python [^)]*\)|95 %", "", results
    )  # the last: where the engine was measured
    shown = re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", words)
    assert len(shown) > 300
    assert [text for text in shown if text.rstrip(",") not in known] == []


def cells(*given: tuple[str, list[bool]] | str) -> NotebookNode:
    """A notebook of Markdown and of code cells, each with whether its outputs say that something is absent."""
    made = []
    for one in given:
        if isinstance(one, str):
            made.append(v4.new_markdown_cell(one))
        else:
            outputs = [v4.new_output("execute_result", metadata={ABSENT: True} if absent else {}) for absent in one[1]]
            made.append(v4.new_code_cell(one[0], outputs=outputs))
    return v4.new_notebook(cells=made)


def test_sections_without_content_are_left_out() -> None:
    """With their heading and words; code that shows nothing stays, and so does a heading above deeper ones."""
    notebook = cells(
        ("import a", []),
        "# Title",
        "## Kept",
        ("figure", [False]),
        ("filler", [True]),
        "## Absent\n\nwords",
        ("filler", [True]),
        "more words",
        ("filler", [True, True]),
        "## Above",
        ("filler", [True]),
        "### Below",
        ("table", [False, True]),
        "## Words alone",
    )
    assert [cell.source for cell in remove_absent(notebook).cells] == [
        "import a",
        "# Title",
        "## Kept",
        "figure",
        "## Above",
        "### Below",
        "table",
        "## Words alone",
    ]


def test_the_second_title_begins_the_appendix() -> None:
    """One notebook is the report and its full tables; without a second title the appendix is empty."""
    report, appendix = split_appendix(cells("# Title", ("a", [False]), "## Part", "# Appendix", ("b", [False])))
    assert [cell.source for cell in report.cells] == ["# Title", "a", "## Part"]
    assert [cell.source for cell in appendix.cells] == ["# Appendix", "b"]
    assert split_appendix(cells("# Title", "## Part"))[1].cells == []


def test_a_report_has_no_heading_for_what_its_sweep_lacks(report: Path) -> None:
    """The tiny sweep has no comparators; the findings notebook has a section for them."""
    for name in ("bench", "appendix"):
        text = (report / f"{name}.md").read_text()
        assert ("Growth\n" in text) == (name == "appendix")
        assert "Comparators" not in text
        assert "This sweep has no" not in text


def test_report_tells_nothing_of_this_machine(report: Path, sweep: Path) -> None:
    """No folder of the machine that wrote the report is in it."""
    for name, content in contents(report).items():
        assert str(sweep.parent).encode() not in content, name
        assert str(Path.home()).encode() + b"/" not in content, name


def test_report_built_again_is_the_same_bytes(
    report: Path, sweep: Path, executed: Notebooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same outputs give the same report, byte for byte, and the old one is replaced as a whole.

    That the same runs give the same outputs, `tests/project/test_published.py` shows of the committed report.
    """
    before, folder = contents(report), report.stat().st_ino
    monkeypatch.setattr(build, "execute_findings", lambda _: copy.deepcopy(executed))
    build_report(str(sweep), report)
    assert contents(report) == before
    assert report.stat().st_ino != folder
    assert [path.name for path in report.parent.iterdir()] == ["report"]


def test_failing_build_keeps_the_old_report(report: Path) -> None:
    """A report is replaced only by a complete one."""
    before = contents(report)
    with pytest.raises(OptionError):
        build_report("there-is-no-such-sweep", report)
    assert contents(report) == before


def test_folder_with_other_files_is_left_alone(tmp_path: Path, sweep: Path) -> None:
    """A wrong --out does not cost anybody their files."""
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ForeignFilesError, match=r"holds thesis\.tex; choose another"):
        build_report(str(sweep), tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, sweep: Path) -> None:
    """A file in the way is named, not traced."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnwritableReportError, match="cannot write the report to"):
        build_report(str(sweep), tmp_path / "file" / "report")


def test_command_checks_a_report(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says that a report is stale whose sweep is not in data/raw, by its exit status."""
    assert main(["report", "--check", "--out", str(report)]) == 1
    assert "does not agree with its runs" in capsys.readouterr().out


def test_command_refuses_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown sweeps and flags end with status 2 and a sentence."""
    assert main(["report", "--sweep", "there-is-no-such-sweep"]) == 2
    assert main(["report", "--swep", "x"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("sweep: expected a sweep in data/raw")
    assert lines[1] == "unrecognized arguments: --swep x; --help lists the flags"
