"""Versions that others add by an entry point: measured like our own, and their mistakes are failed runs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from pubsub_sim.__main__ import main
from pubsub_sim.results import Store, wide

EXAMPLES = Path(__file__).parent / "examples"
PLAIN = "from pubsub_sim.drivers.baseline import describe, make_driver\n"
PRINTS = "print('a line on stdout')\n" + PLAIN
FAILS = """
from pubsub_sim.drivers.baseline import describe

def make_driver(seat):
    raise RuntimeError("no driver\\n  today")
"""
EXITS = "import os\nos._exit(3)\n"
LOSES_A_TASK = """
import asyncio
from pubsub_sim.drivers.baseline import describe, make_driver as make

async def break_down():
    raise RuntimeError("nobody awaits this")

def make_driver(seat):
    asyncio.get_running_loop().create_task(break_down())
    return make(seat)
"""


def environment(folder: Path, source: str) -> dict[str, str]:
    """Install a version called "mine" into a folder and give the environment in which it is found."""
    (folder / "mine.py").write_text(source)
    facts = folder / "mine-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[pubsub_sim.versions]\nmine = mine\n")
    return {**os.environ, "PYTHONPATH": str(folder)}


def words(folder: Path) -> list[str]:
    """Give the command of a tiny sweep of that version beside ours."""
    given = {"versions": "baseline,mine", "hosts": "3", "messages": "2", "repeats": "1", "out": str(folder / "runs")}
    return ["sweep", "--control", "--share", *(f"--{name}={value}" for name, value in given.items())]


class Done(NamedTuple):
    """How a sweep ended."""

    status: int
    log: str


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Measure that version, given as its source, beside ours: the command in this process, each run in one of its own."""

    def measured(source: str, *more: str) -> Done:
        monkeypatch.setenv("PYTHONPATH", environment(tmp_path, source)["PYTHONPATH"])
        monkeypatch.syspath_prepend(tmp_path)
        status = main([*words(tmp_path), *more])
        return Done(status, capfd.readouterr().err)

    return measured


@pytest.mark.parametrize(
    ("example", "transport"), [("own_version", "memory"), ("own_version", "tcp"), ("older_version", "memory")]
)
def test_example_of_a_version_does_the_work_of_ours(
    tmp_path: Path, sweep: Callable[..., Done], example: str, transport: str
) -> None:
    """About thirty lines are another control flow over the same node, measured in pairs with ours; older ones, too."""
    source = (EXAMPLES / f"{example}.py").read_text()
    assert len([line for line in source.splitlines() if line]) <= 36
    assert sweep(source, "--hosts=5", "--messages=10", f"--transport={transport}") == (0, "")
    runs = wide(Store(tmp_path / "runs").load())
    assert sorted(runs["version"]) == ["baseline", "baseline", "mine"]
    assert set(runs["connections"]) == {10}
    if transport == "memory":
        assert runs["rpcs"].nunique() == 1


def test_foreign_version_is_compared_by_its_name(tmp_path: Path) -> None:
    """A version of another package is measured in pairs with ours and does equal work; all in processes of their own."""
    command = [sys.executable, "-m", "pubsub_sim", *words(tmp_path)]
    given = environment(tmp_path, PLAIN)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=given)
    assert (done.returncode, done.stderr) == (0, "")
    runs = wide(Store(tmp_path / "runs").load())
    assert sorted(runs["version"]) == ["baseline", "baseline", "mine"]
    assert set(runs["outcome"]) == {"ok"}
    assert runs["rpcs"].nunique() == 1
    assert runs["seed"].nunique() == 1
    assert set(Store(tmp_path / "runs").provenance()["versions"]) == {"baseline", "mine"}


def test_limit_does_not_count_start_up_and_warm_up(sweep: Callable[..., Done]) -> None:
    """A version that takes longer than the limit to be imported is ok if its run does not."""
    assert sweep("import time\ntime.sleep(3)\n" + PLAIN, "--limit-s=2.5") == (0, "")


def test_what_a_version_prints_does_not_mix_with_the_record(tmp_path: Path) -> None:
    """Text on stdout from the measured code is no part of the record."""
    spec = json.dumps({"version": "mine", "hosts": 2, "messages": 1})
    done = subprocess.run(
        [sys.executable, "-m", "pubsub_sim.bench.worker"],
        input=spec,
        capture_output=True,
        text=True,
        check=True,
        env=environment(tmp_path, PRINTS),
    )
    assert json.loads(done.stdout)["outcome"] == "ok"
    assert "a line on stdout" in done.stderr


def test_version_whose_name_is_a_path_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An entry point can have any name; one that would lead out of the sweep's folder is refused before any run."""
    environment(tmp_path, PLAIN)
    facts = tmp_path / "mine-1.0.dist-info" / "entry_points.txt"
    facts.write_text("[pubsub_sim.versions]\n../up = mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main([*words(tmp_path), "--versions=baseline,../up", f"--out={tmp_path / 'deep' / 'runs'}"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("versions: expected a name of at most 64 letters")
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (FAILS, "the warm-up failed: RuntimeError: no driver today"),
        (LOSES_A_TASK, "Task exception was never retrieved: RuntimeError: nobody awaits this"),
        ("import nothing_there\n", "the warm-up failed: ModuleNotFoundError: No module named 'nothing_there'"),
        ("raise OSError('/somewhere/else/mine.txt is not 1/2')", "the warm-up failed: OSError: mine.txt is not 1/2"),
        (EXITS, "the worker ended with status 3 and no record"),
    ],
)
def test_mistake_of_a_version_is_a_failed_run_of_one_sentence(
    tmp_path: Path, sweep: Callable[..., Done], source: str, sentence: str
) -> None:
    """An exception, a lost background task or a sudden end is a failed run, its traceback is shown, and the other version's runs are ok."""
    done = sweep(source)
    assert done.status == 1
    runs = wide(Store(tmp_path / "runs").load()).set_index("version")
    assert (runs.loc[["baseline"], "outcome"] == "ok").all()
    assert (runs.loc["mine", "outcome"], runs.loc["mine", "error"]) == ("failed", sentence)
    *log, last = done.log.splitlines()
    assert last.endswith(f".parquet: {sentence}")
    assert bool(log) == (source != EXITS)
    if log:
        assert "Traceback (most recent call last):" in log
        assert f'File "{tmp_path / "mine.py"}", line ' in "\n".join(log)
