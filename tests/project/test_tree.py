"""What may be in the repository."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from pubsub_sim.report.build import default_out

ROOT = Path(__file__).parents[2]
TOP = {
    "notebooks",
    "asyncmachine",
    "pubsub_sim",
    "data",
    "tests",
    "environment.yml",
    "README.md",
    "pyproject.toml",
    "Makefile",
    "requirements.lock",
    "LICENSE",
    "CITATION.cff",
    "CHANGELOG.md",
}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).exists()]


def test_the_top_level_holds_what_the_reader_expects() -> None:
    """Two packages, notebooks, data, tests and the files every project has."""
    names = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {name for name in names if not name.startswith(".")} <= TOP


def test_no_file_is_larger_than_a_megabyte() -> None:
    """A clone stays small."""
    assert [path for path in tracked() if path.stat().st_size > 1 << 20] == []


def test_notebooks_are_stripped() -> None:
    """No outputs, counts or run metadata in git: a diff of a notebook shows what somebody wrote."""
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        notebook = json.loads(path.read_text())
        assert "papermill" not in notebook["metadata"], path.name
        for cell in notebook["cells"]:
            assert not cell.get("outputs"), path.name
            assert cell.get("execution_count") is None, path.name


def test_no_absolute_path_of_a_machine_and_no_registry_address() -> None:
    """What is committed means the same on every machine."""
    for path in tracked():
        if path.suffix in {".py", ".ipynb", ".md", ".toml", ".yml", ".lock", ".cff", ".json", ".html"}:
            text = path.read_text()
            home = "(home|root|Users|work)"  # in a group of its own, so that this line is none
            assert not re.search(rf"[\"' (]/{home}/[A-Za-z]", text), path
            assert not re.search(r"https?://[^ \"]*(pypi\.|pythonhosted|npmjs)\b", text), path


def test_what_targets_of_make_write_is_ignored() -> None:
    """`git status` is clean after a sweep, a report, recorded runs and the API reference."""
    written = [
        str((default_out() / "bench.md").relative_to(ROOT)),
        "data/raw/local-default/manifest.json",
        "data/runs/states/run.sqlite",
        "build/docs/index.html",
    ]
    done = subprocess.run(["git", "check-ignore", *written], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == written


def test_the_makefile_writes_reports_where_the_command_does() -> None:
    """To the folder that is ignored; `make publish` is the only target that writes to data/report."""
    text = (ROOT / "Makefile").read_text()
    assert f"REPORT := {default_out().relative_to(ROOT)}\n" in text
    lines = [line for line in text.splitlines() if line.startswith("\t") and " data/report" in line]
    assert lines == ["\trm -rf data/report", "\tcp -R $(REPORT) data/report"]
