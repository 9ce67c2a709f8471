"""The machine: one measurement at a time, and no more hosts than its memory holds."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pubsub_sim.__main__ import main
from pubsub_sim.bench.costs import CostOptions
from pubsub_sim.bench.machine import LOCK, BusyMachineError, check_hosts, measuring, memory_bytes
from pubsub_sim.bench.options import RunOptions, SweepOptions
from pubsub_sim.bench.sweep import sweep
from pubsub_sim.errors import OptionError


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of its own, so that what is measured on this machine does not matter here."""
    place = tmp_path / "machine"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return place


def tiny(folder: Path, **more: Any) -> SweepOptions:
    given = {"versions": "baseline", "hosts": 2, "messages": 1, "repeats": 1, "out": str(folder), "progress": "none"}
    return SweepOptions(**given | more)


def test_second_measurement_is_refused_and_told_who_measures(tmp_path: Path) -> None:
    """The sentence names process and sweep, and the way to measure all the same."""
    with measuring("the sweep first"), pytest.raises(BusyMachineError) as error:
        sweep(tiny(tmp_path / "runs"))
    assert (error.value.pid, error.value.what) == (os.getpid(), "the sweep first")
    assert f"process {os.getpid()} measures the sweep first since 2" in str(error.value)
    assert "--share" in str(error.value)
    assert not list((tmp_path / "runs").glob("*.parquet"))
    with measuring("another"):
        pass


def test_shared_sweep_measures_beside_others(tmp_path: Path) -> None:
    """It takes no lock and heeds none."""
    with measuring("the sweep first"):
        assert sweep(tiny(tmp_path / "runs", share=True)).measured == 1
    with measuring("one", share=True), measuring("two"):
        pass


@pytest.mark.parametrize("command", ["sweep", "engine", "costs"])
def test_every_measuring_command_heeds_the_lock(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence and status 2."""
    with measuring("something else"):
        assert main([command, f"--out={tmp_path / 'out'}"]) == 2
    said, log = capsys.readouterr()
    assert said == ""
    assert log.startswith(f"this machine is busy: process {os.getpid()} measures something else")


def test_only_looking_needs_no_machine(tmp_path: Path) -> None:
    """With measure=False nothing is measured, so nothing is held."""
    with measuring("the sweep first"):
        assert sweep(tiny(tmp_path, measure=False)).measured == 0


def test_lock_ends_with_its_process(machine: Path) -> None:
    """A killed process leaves the file and no lock."""
    code = "import sys\nfrom pubsub_sim.bench.machine import measuring\nwith measuring('x'): print(flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder:
        holder.stdout.readline()
        with pytest.raises(BusyMachineError) as error, measuring("y"):
            pass
        assert error.value.pid == holder.pid
        holder.kill()
    assert (machine / LOCK).exists()
    with measuring("y"):
        pass


def test_lock_whose_file_says_nothing_is_one_sentence(machine: Path) -> None:
    """Held, with a text that cannot be read: the sentence does without a name."""
    with measuring("x"):
        (machine / LOCK).write_text("{")
        with (
            pytest.raises(BusyMachineError, match="this machine is busy: another process measures; wait"),
            measuring("y"),
        ):
            pass


def test_hosts_beyond_memory_are_refused_at_once() -> None:
    """Before anything is started, with how many would fit, wherever hosts are asked for."""
    for make in (
        lambda: SweepOptions(hosts=[5, 32_767]),
        lambda: RunOptions(version="baseline", hosts=1_000_000, messages=1),
        lambda: CostOptions(hosts=(5, 10, 1_000_000)),
    ):
        with pytest.raises(OptionError, match=r"hosts: expected at most [\d]+, as [\d,.]+ GiB of memory hold") as error:
            make()
        assert error.value.option == "hosts"


def test_hosts_that_fit_are_not_refused() -> None:
    """The number that the sentence names is the greatest that is taken; runs side by side need as much more."""
    with pytest.raises(OptionError) as error:
        check_hosts(10**7)
    most = int(error.value.expected.split()[2].rstrip(","))
    check_hosts(most)
    for hosts, runs in ((most + 1, 1), (most, 2)):
        with pytest.raises(OptionError):
            check_hosts(hosts, runs=runs)
    check_hosts(most * 10, barrier=False)
    assert memory_bytes() > 2**20
