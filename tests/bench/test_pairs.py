"""Runs that are compared were measured together: what a sweep does when a pair is not whole."""

import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from pubsub_sim.__main__ import main
from pubsub_sim.bench.grid import plan
from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.bench.stopping import half_width
from pubsub_sim.bench.sweep import SweepInterrupted, sweep
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import pair_version
from pubsub_sim.report.sweep import Sweep
from pubsub_sim.report.text import describe_sweep
from pubsub_sim.results import PackedRunsError, Store, UnwritableFolderError
from tests.bench.processes import wait_until

pytestmark = pytest.mark.xdist_group("sweep")


def tiny(folder: Path, **more: Any) -> SweepOptions:
    """Give a sweep of two pairs: both versions, twice."""
    given = {"hosts": 3, "messages": 1, "repeats": 2, "out": str(folder), "progress": "none", "share": True}
    return SweepOptions(**given | more)


@pytest.fixture(scope="module")
def two_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a sweep; whoever changes it takes a copy."""
    folder = tmp_path_factory.mktemp("pairs") / "two-pairs"
    sweep(tiny(folder))
    return folder


@pytest.fixture
def mine(two_pairs: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(copytree(two_pairs, tmp_path / "mine"))


def pairs(folder: Path) -> dict[int, set[str]]:
    """Give of each repeat with what its runs were measured."""
    found: dict[int, set[str]] = {}
    for run, pair in Store(folder).pairs().items():
        found.setdefault(run.repeat, set()).add(pair)
    return found


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


def ratios(folder: Path) -> list[int]:
    """Give the repeats that are in the paired ratios of the report."""
    loaded = Sweep.load(folder)
    return sorted(pair_version(loaded, "states", QUANTITIES["duration-net"])["repeat"])


def remake(folder: Path, options: SweepOptions, version: str, repeat: int) -> None:
    """Put a run of another measurement in the place of one."""
    run = next(run for pair in plan(options) for run in pair.runs if (run.version, run.repeat) == (version, repeat))
    record = Store(folder).read(run)
    assert record is not None
    Store(folder).write(replace(record, provenance={**record.provenance, "pair": "another"}))


def test_runs_of_a_pair_tell_that_they_were_measured_together(two_pairs: Path) -> None:
    """Each pair has something in common that no other has."""
    found = pairs(two_pairs)
    assert all(len(one) == 1 and one != {""} for one in found.values())
    assert found[1] != found[2]
    assert ratios(two_pairs) == [1, 2]


def test_version_that_is_added_later_is_measured_with_the_others(mine: Path) -> None:
    """The whole pairs are measured again, and the result says so."""
    before = content(mine)
    result = sweep(tiny(mine, versions="baseline,states,direct"))
    assert (result.planned, result.measured, result.kept, result.again) == (6, 6, 0, 4)
    assert result.sentence().endswith("4 of the measured ones were there and were measured again with their pairs")
    after = content(mine)
    assert all(after[name] != before[name] for name in before)
    assert all(len(one) == 1 for one in pairs(mine).values())


def test_version_that_is_left_out_later_costs_nothing(mine: Path) -> None:
    """A pair stays one when fewer of its runs are asked for."""
    assert sweep(tiny(mine, versions="states")).kept == 2


def test_pair_of_a_lost_file_is_measured_again(mine: Path) -> None:
    """Not the lost run alone; the other pair is left as it is."""
    before = content(mine)
    (lost,) = mine.glob("states-h3-m1-r1-*")
    lost.unlink()
    assert ratios(mine) == [2]
    result = sweep(tiny(mine))
    assert (result.measured, result.again, result.kept) == (2, 1, 2)
    changed = {name for name, bytes_ in content(mine).items() if before[name] != bytes_}
    assert {name.split("-r")[1][0] for name in changed} == {"1"}
    assert len(changed) == 2


def test_runs_of_different_measurements_are_no_pair_anywhere(mine: Path) -> None:
    """The report leaves them out and says so, the stop rule does not count them, looking says so; sweeping mends it."""
    options = tiny(mine)
    remake(mine, options, "states", 1)
    assert ratios(mine) == [2]
    loaded = Sweep.load(mine)
    assert loaded.apart() == 1
    assert "1 run was measured at another time than the partner" in str(describe_sweep(loaded))
    records = [record for pair in plan(options) for run in pair.runs if (record := Store(mine).read(run))]
    assert half_width(records, options.versions) == float("inf")
    looked = sweep(tiny(mine, measure=False))
    assert looked.apart == 2
    assert "2 of them measured apart from the rest of their pairs, so in no ratio" in looked.sentence()
    assert sweep(options).measured == 2
    assert ratios(mine) == [1, 2]


def test_packed_form_keeps_what_is_no_pair(mine: Path, tmp_path: Path) -> None:
    """Packed and packed again, such runs are still in no ratio."""
    remake(mine, tiny(mine), "states", 1)
    Store(mine).pack(tmp_path / "packed")
    Store(tmp_path / "packed").pack(tmp_path / "again")
    assert ratios(tmp_path / "packed") == ratios(tmp_path / "again") == [2]


def test_full_disk_leaves_whole_pairs(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the second file of a pair cannot be written, neither is there, and the next sweep measures both."""
    before = content(mine)
    written: list[str] = []
    real = os.fsync

    def fsync(file: int) -> None:
        name = Path(f"/proc/self/fd/{file}").readlink().name
        written.extend([name] if ".parquet." in name else [])
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(UnwritableFolderError, match="No space left on device"):
        sweep(tiny(mine, force=True))
    monkeypatch.undo()
    assert content(mine) == before
    assert not list(mine.glob(".*"))
    assert sweep(tiny(mine)).kept == 4


def test_packed_runs_are_kept(mine: Path, tmp_path: Path) -> None:
    """Sweeping into a packed folder measures nothing of what is in it; more repeats are measured beside it."""
    main(["pack", f"--out={mine}", f"--target={tmp_path / 'packed'}"])
    manifest = (tmp_path / "packed" / "manifest.json").read_text()
    result = sweep(tiny(tmp_path / "packed"))
    assert (result.planned, result.measured, result.kept) == (4, 0, 4)
    assert (tmp_path / "packed" / "manifest.json").read_text() == manifest
    assert sweep(tiny(tmp_path / "packed", measure=False)).kept == 4
    more = sweep(tiny(tmp_path / "packed", repeats=3))
    assert (more.measured, more.kept) == (2, 4)
    assert ratios(tmp_path / "packed") == [1, 2, 3]


def test_packing_replaces_no_file_of_others(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target that holds something else by the manifest's name is refused before anything is written."""
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "manifest.json").write_text("{}")
    assert main(["pack", f"--out={mine}", f"--target={tmp_path / 'packed'}"]) == 2
    assert "is no manifest of a sweep and would be replaced" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "packed").iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("more", [{"versions": "baseline,states,direct"}, {"force": True}])
def test_packed_runs_are_not_measured_again(mine: Path, tmp_path: Path, more: dict[str, Any]) -> None:
    """What would need that is refused in one sentence before anything is measured."""
    Store(mine).pack(tmp_path / "packed")
    before = content(tmp_path / "packed")
    with pytest.raises(PackedRunsError, match="4 of them would have to be measured again with their pairs; choose"):
        sweep(tiny(tmp_path / "packed", **more))
    assert content(tmp_path / "packed") == before


def test_nothing_is_added_to_packed_runs_of_other_code(mine: Path, tmp_path: Path) -> None:
    """One folder holds the runs of one code on one kind of machine."""
    store = Store(mine)
    for pair in plan(tiny(mine)):
        for run in pair.runs:
            record = store.read(run)
            assert record is not None
            store.write(replace(record, provenance={**record.provenance, "sources": "other"}))
    store.pack(tmp_path / "packed")
    assert sweep(tiny(tmp_path / "packed")).kept == 4
    with pytest.raises(PackedRunsError, match="they come from other code or another machine"):
        sweep(tiny(tmp_path / "packed", repeats=3))


def test_interrupted_sweep_says_what_is_stored(tmp_path: Path) -> None:
    """Ctrl-C in the middle: status 130 and one sentence with the true number, which the next sweep keeps."""
    flags = {"versions": "baseline", "hosts": "3", "messages": "2", "repeats": "4", "out": str(tmp_path)}
    words = [
        "sweep",
        "--share",
        "--control",
        "--progress=none",
        *(f"--{name}={value}" for name, value in flags.items()),
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "pubsub_sim", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert wait_until(lambda: len(content(tmp_path)) >= 2)
        running.send_signal(signal.SIGINT)
        said, log = running.communicate(timeout=120)
    repeats = [name.split("-")[3] for name in content(tmp_path)]
    stored = sum(repeats.count(repeat) == 2 for repeat in repeats)
    assert (running.returncode, said) == (130, "")
    assert log == f"interrupted; {stored} of 8 runs are stored in {tmp_path}; the same sweep goes on with the others\n"
    result = sweep(tiny(tmp_path, versions="baseline", control=True, messages=2, repeats=4))
    assert (result.kept, result.measured) == (stored, 8 - stored)


def test_interrupted_sentence_is_true_of_a_forced_sweep(tmp_path: Path) -> None:
    """Run again, a forced sweep would not keep what it says is stored."""
    assert "the same sweep without force keeps them" in str(SweepInterrupted(4, 8, tmp_path, is_forced=True))


def test_interrupt_of_a_command_that_stores_nothing_does_not_say_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only a sweep stores as it goes."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pubsub_sim.bench.commands.run_worker", interrupted)
    assert main(["run", "--version=baseline", "--hosts=2", "--messages=1"]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")
