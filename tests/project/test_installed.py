"""The packages in environments of their own, as users install them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.asyncmachine.test_typed_program import PROGRAM
from tests.conftest import PROJECTS
from tests.project.test_wheel import build

pytestmark = [pytest.mark.packages, pytest.mark.xdist_group("wheel")]

MOST_OF_ASYNCIO = 0.25  # about 10 ms where asyncio takes 40 ms
IMPORTS = """
import json, time
start = time.process_time()
import asyncio
middle = time.process_time()
import asyncmachine
print(json.dumps([middle - start, time.process_time() - middle]))
"""


def an_environment(folder: Path, *wheels: Path) -> Path:
    """Make an environment with these wheels and nothing else, not even pip, and return its interpreter."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*command, "--compile", *map(str, wheels)], check=True, env=outside())
    return python


def outside() -> dict[str, str]:
    """The variables of a user, whose Python finds nothing of this clone by itself."""
    names = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in names}


@pytest.fixture(scope="module")
def alone(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the library's wheel alone."""
    return an_environment(tmp_path_factory.mktemp("alone"), wheels["asyncmachine"])


def check(python: Path, program: str, folder: Path) -> str:
    """Check a program strictly by mypy, with the packages of an environment, and return what it says."""
    (folder / "program.py").write_text(program)
    words = ["--strict", "--config-file=", "--cache-dir", str(folder / "cache"), "--python-executable", str(python)]
    command = [sys.executable, "-P", "-m", "mypy", *words, "program.py"]
    return subprocess.run(command, cwd=folder, env=outside(), capture_output=True, text=True, check=False).stdout


def test_a_typed_program_runs_and_passes_strict_checks(alone: Path, tmp_path: Path) -> None:
    """With the library's wheel alone, outside the clone."""
    assert check(alone, PROGRAM, tmp_path) == "Success: no issues found in 1 source file\n"
    done = subprocess.run(
        [alone, "program.py"], cwd=tmp_path, env=outside(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "['page']\n"


def test_editable_packages_are_seen_from_outside(wheels: dict[str, Path], tmp_path: Path) -> None:
    """A type checker elsewhere follows an editable install, and finds a mistake in the use of either package."""
    editable = [build("editable", project, tmp_path) for project in PROJECTS.values()]
    python = an_environment(tmp_path / "env", *editable)
    program = (
        "import asyncmachine\nfrom pubsub_sim.errors import TopicExists\nasyncmachine.State(multi=3)\nTopicExists(3)\n"
    )
    said = check(python, program, tmp_path).splitlines()
    assert [line.rpartition("[")[2] for line in said if "error:" in line] == ["arg-type]", "arg-type]"]


def test_an_import_takes_a_fraction_of_what_asyncio_takes(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In processor time, the least of some fresh processes, because a busy machine only ever adds to it."""
    took = []
    for _ in range(15):
        done = subprocess.run([alone, "-I", "-c", IMPORTS], env=outside(), capture_output=True, text=True, check=True)
        took.append(json.loads(done.stdout))
    asyncio_s, ours_s = (min(times) for times in zip(*took, strict=True))
    with capsys.disabled():
        told = f"import asyncmachine: {ours_s * 1e3:.1f} ms after asyncio, which takes {asyncio_s * 1e3:.1f} ms"
        sys.stdout.write(f"\n{told}\n")
    assert ours_s < MOST_OF_ASYNCIO * asyncio_s
