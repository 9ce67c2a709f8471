"""What README and the guides show works as shown."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pubsub_sim.bench.grid import plan
from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.flags import from_flags

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "asyncmachine/README.md", "pubsub_sim/README.md", "data/README.md")
GUIDES = PAGES[1:3]
TEXTS = {name: (ROOT / name).read_text() for name in PAGES}


def fenced(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXTS[name], flags=re.DOTALL)


SNIPPETS = [
    pytest.param(name, snippet, id=f"{name} {number}")
    for name in PAGES
    for number, snippet in enumerate(fenced(name, "python"))
]


@pytest.mark.parametrize(("name", "snippet"), SNIPPETS)
def test_a_python_snippet_runs_and_prints_what_it_says(name: str, snippet: str, tmp_path: Path) -> None:
    """In a fresh interpreter, with warnings as errors; the lines it announces come in order.

    In an empty folder, but for the snippet about the data of this repository.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT if name == "data/README.md" else tmp_path,
    )
    assert done.returncode == 0, done.stderr
    rest = done.stdout
    for line in re.findall(r"^ *# prints (.*)$", snippet, flags=re.MULTILINE):
        assert line in rest
        rest = rest[rest.index(line) + len(line) :]


@pytest.mark.parametrize("name", PAGES)
def test_a_link_within_the_repository_leads_somewhere(name: str) -> None:
    """To a file that exists and, where it names a section, to one of its headings."""
    for target in re.findall(r"\]\(([^)]+)\)", TEXTS[name]):
        if "://" in target:
            continue
        place, _, section = target.partition("#")
        path = (ROOT / name).parent / place if place else ROOT / name
        assert path.exists(), target
        if section:
            headings = re.findall(r"^#+ (.*)$", path.read_text(), flags=re.MULTILINE)
            assert section in {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in headings}, target


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_lists_its_sections(name: str) -> None:
    """All of them, in order, at its beginning."""
    sections = re.findall(r"^## (.*)$", TEXTS[name], flags=re.MULTILINE)
    assert re.findall(r"^- \[(.*)\]\(#", TEXTS[name], flags=re.MULTILINE) == sections


def test_readme_is_short() -> None:
    """It says what there is; the guides say how it is used."""
    assert len(TEXTS["README.md"].splitlines()) < 200


def test_every_example_is_linked() -> None:
    """From the guide of asyncmachine."""
    for path in (ROOT / "tests" / "examples").glob("[!t]*.py"):
        assert f"](../tests/examples/{path.name})" in TEXTS["asyncmachine/README.md"]


@pytest.mark.parametrize("name", ["README.md", "pubsub_sim/README.md"])
def test_the_small_sweep_has_the_runs_that_are_announced(name: str) -> None:
    """In a folder of its own, so that the report shows these runs and no others."""
    command, amount = re.findall(r"^(python -m pubsub_sim sweep .*?) +# (\d+) runs$", TEXTS[name], re.MULTILINE)[0]
    options: SweepOptions = from_flags(SweepOptions, "sweep", "", shlex.split(command)[4:])
    assert sum(len(pair.runs) for pair in plan(options)) == int(amount)
    assert f"make report SWEEP={options.out} " in TEXTS[name]
    assert options.out != SweepOptions.out


def test_the_api_reference_has_what_the_pages_import() -> None:
    """Each module of ours that a snippet imports has a page of its own, written by `make docs`."""
    variables = subprocess.run(
        ["make", "--dry-run", "--always-make", "docs"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (command,) = (line for line in variables.stdout.splitlines() if " -m pdoc " in line)
    for name in PAGES:
        for module in re.findall(
            r"^(?:from|import) ((?:asyncmachine|pubsub_sim)[.\w]*)", "\n".join(fenced(name, "python")), re.MULTILINE
        ):
            assert module in command.split(), module


@pytest.mark.parametrize("name", PAGES)
def test_targets_of_make_exist(name: str) -> None:
    """Each target that a page names is one that `make` lists."""
    listed = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = set(re.findall(r"^make ([a-z-]+) +\S", listed.stdout, flags=re.MULTILINE))
    assert {"bench", "test", "report", "publish", "docs", "help"} <= targets
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", TEXTS[name], flags=re.MULTILINE))
    assert named <= targets
