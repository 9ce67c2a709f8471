"""The commands `run`, `sweep` and `pack`."""

import subprocess
import sys
from pathlib import Path

import pytest

from pubsub_sim.__main__ import main
from pubsub_sim.results.load import PACKED_FILE, LoadStore
from tests.report.runs import write_sweep
from tests.results.load_runs import write_load


def command(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pubsub_sim", *words], capture_output=True, text=True, check=False, cwd=cwd
    )


def test_run_prints_what_one_run_took(tmp_path: Path) -> None:
    """`run` shows each phase and the metrics of the run, from any folder."""
    done = command("run", "--version", "baseline", "--hosts", "3", "--messages", "2", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("baseline, 3 hosts, 2 messages: ok")
    assert "rand msgs" in done.stdout
    assert "peak_rss_bytes" in done.stdout


def test_run_over_its_limit_is_status_1() -> None:
    """`run` that fails says so in one sentence on stderr, with exit status 1."""
    done = command("run", "--version=baseline", "--hosts=5", "--messages=1000000", "--limit-s=0.3")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("the run is timeout: the run was stopped at its limit of 0.3 s in phase ")
    assert done.stderr.count("\n") == 1


def test_sweep_measures_and_counts(tmp_path: Path) -> None:
    """`sweep` stores the runs and ends with the counts."""
    done = command(
        "sweep",
        "--versions=baseline",
        "--hosts=2",
        "--messages=1",
        "--repeats=1",
        "--control",
        "--share",
        f"--out={tmp_path}",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith(
        "2 runs (2 ok): 2 measured now, 0 kept"
    )  # then what a busy machine adds


def test_pack_takes_the_runs_under_load_along(tmp_path: Path) -> None:
    """In one file, below the packed sweep, from which they are read as from the single ones."""
    raw, packed = write_load(write_sweep(tmp_path / "raw", repeats=1)), tmp_path / "packed"
    assert main(["pack", f"--out={raw}", f"--target={packed}"]) == 0
    assert [path.name for path in (packed / "load").iterdir()] == [PACKED_FILE]
    assert LoadStore(packed).load() == LoadStore(raw).load()


def test_pack_writes_one_file_per_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`pack` writes the stored runs of each version into one file and names it; the manifest comes along."""
    raw, packed = tmp_path / "raw", tmp_path / "packed"
    given = {"versions": "baseline", "hosts": "2", "messages": "1", "repeats": "1", "out": str(raw)}
    assert main(["sweep", "--control", "--share", *(f"--{name}={value}" for name, value in given.items())]) == 0
    capsys.readouterr()
    assert main(["pack", f"--out={raw}", f"--target={packed}"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("packed-baseline.parquet: ")
    assert sorted(path.name for path in packed.iterdir()) == ["manifest.json", "packed-baseline.parquet"]
    assert (packed / "manifest.json").read_text() == (raw / "manifest.json").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("sweep", "--hosts", "0"), "hosts: expected a whole number of at least 2, got 0"),
        (("sweep", "--hosts", "many"), "--hosts: expected whole numbers separated by commas, got 'many'"),
        (("sweep", "--hosts", "5,x"), "--hosts: expected whole numbers separated by commas, got '5,x'"),
        (
            ("sweep", "--versions", "original"),
            "versions: expected one of baseline, states, direct, states-rpc, lower-bound, got 'original'",
        ),
        (("sweep", "--host", "5"), "host: there is no such parameter, did you mean 'hosts'?"),
        (("sweep", "--repeats"), "argument --repeats: expected one argument; --help lists the flags"),
        (("sweep", "--out", "/proc/nowhere"), "cannot write results to /proc/nowhere: No such file or directory; "),
        (("run", "--hosts", "5", "--messages", "1"), "--version is needed; --help lists the flags"),
        (("pack", "--target", ""), "target: expected the name of a folder, got ''"),
        (("pack",), "--target is needed; --help lists the flags"),
        (("swep",), "there is no command 'swep': choose one of run, sweep, pack"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    """Whatever is wrong with the input is told in one sentence on stderr, with exit status 2."""
    assert main(words) == 2
    said, log = capsys.readouterr()
    assert said == ""
    assert log.startswith(sentence)
    assert log.count("\n") == 1


def test_process_says_no_more_and_has_that_status() -> None:
    """The same sentence, and nothing of the interpreter beside it."""
    done = command("sweep", "--hosts", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "hosts: expected a whole number of at least 2, got 0\n"


def test_help_explains_every_flag() -> None:
    """The help of a command lists each option with its meaning and default."""
    text = " ".join(command("sweep", "--help").stdout.split())
    assert "--hosts VALUE numbers of hosts, each at least 2 (default: 5,10,15,20)" in text
    assert "--measure, --no-measure whether to measure" in text


def test_commands_are_listed() -> None:
    """Without a command the commands are listed with what they do."""
    assert "sweep" in command("--help").stdout
