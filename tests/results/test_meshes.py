"""Runs of large meshes: how they are stored, and how they compare with what was published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pubsub_sim.__main__ import main
from pubsub_sim.results import TruncatedFileError, WrongSchemaError
from pubsub_sim.results.meshes import (
    MeshRun,
    compare,
    mesh_path,
    pack_meshes,
    published_messages,
    read_mesh,
    read_meshes,
    write_mesh,
)
from tests.report.runs import write_sweep

RUN = MeshRun(
    version="baseline",
    hosts=100,
    messages=10,
    seed=1,
    links=1800,
    sent=6442,
    ihave=7194,
    iwant=26,
    graft=381,
    prune=7,
    rpcs=17_000,
    dropped=0,
    deliveries=1000,
    undelivered=0,
    members_at_begin=740,
    members_at_end=748,
    to_100_ms=112,
    to_200_ms=647,
    to_300_ms=231,
    to_400_ms=0,
    later=0,
    p50_ns=163_000_000,
    p99_ns=264_000_000,
    cpu_ns=1_700_000_000,
    peak_rss_bytes=143 << 20,
)


def test_a_run_is_read_back_with_where_it_comes_from(tmp_path: Path) -> None:
    """Every number of it."""
    write_mesh(tmp_path, RUN, {"sources": "abc"})
    assert read_mesh(mesh_path(tmp_path, "baseline", 100, 10, 1)) == (RUN, {"sources": "abc"})


def test_runs_come_in_order(tmp_path: Path) -> None:
    """By version, hosts, messages and seed; a folder without any has none."""
    assert read_meshes(tmp_path) == ()
    others = [replace(RUN, seed=2), replace(RUN, hosts=250), replace(RUN, version="states")]
    for run in (*reversed(others), RUN):
        write_mesh(tmp_path, run, {})
    assert read_meshes(tmp_path) == (RUN, *others)


def test_packed_runs_are_the_same_runs(tmp_path: Path) -> None:
    """One file that is read like those it was packed from, with where each comes from; it can be packed again."""
    source, target, again = (tmp_path / name for name in ("source", "target", "again"))
    assert pack_meshes(source, target) is None
    for seed in (2, 1):
        write_mesh(source, replace(RUN, seed=seed), {"sources": str(seed)})
    packed = pack_meshes(source, target)
    assert packed is not None
    assert [path.name for path in packed.parent.iterdir()] == ["packed.parquet"]
    assert read_meshes(target) == read_meshes(source) == (RUN, replace(RUN, seed=2))
    write_mesh(target, replace(RUN, sent=1), {})
    assert read_meshes(target) == (
        replace(RUN, sent=1),
        replace(RUN, seed=2),
    )  # played again: it takes the packed one's place
    write_mesh(target, RUN, {"sources": "1"})
    second = pack_meshes(target, again)
    assert second is not None
    assert second.read_bytes() == packed.read_bytes()


def test_the_command_pack_takes_meshes_along(tmp_path: Path) -> None:
    """Into the packed sweep, from which they are read as from the single files."""
    raw, packed = write_sweep(tmp_path / "raw", repeats=1), tmp_path / "packed"
    write_mesh(raw, RUN, {})
    assert main(["pack", f"--out={raw}", f"--target={packed}"]) == 0
    assert read_meshes(packed) == (RUN,)


def test_a_damaged_or_foreign_pack_is_refused(tmp_path: Path) -> None:
    """By its name; the file of a single run is none."""
    write_mesh(tmp_path, RUN, {})
    packed = pack_meshes(tmp_path, tmp_path / "target")
    assert packed is not None
    single = mesh_path(tmp_path, "baseline", 100, 10, 1).read_bytes()
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(TruncatedFileError, match=packed.name):
        read_meshes(tmp_path / "target")
    packed.write_bytes(single)
    with pytest.raises(WrongSchemaError, match=packed.name):
        read_meshes(tmp_path / "target")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """By its name."""
    write_mesh(tmp_path, RUN, {})
    path = mesh_path(tmp_path, "baseline", 100, 10, 1)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TruncatedFileError, match=path.name):
        read_mesh(path)


def test_a_published_figure_is_inside_or_outside_the_range_of_the_seeds() -> None:
    """6,280 messages were published of 100 hosts, and 44 IWANTs."""
    found = {one.title: one for one in compare([RUN, replace(RUN, seed=2, sent=6100)])}
    assert (found["messages sent"].published, found["messages sent"].verdict) == (6280, "inside")
    assert (found["IWANT"].published, found["IWANT"].verdict) == (44, "outside")
    assert (found["messages sent"].low, found["messages sent"].mean, found["messages sent"].high) == (6100, 6271, 6442)
    assert found["messages sent"].tolerance == pytest.approx(1 / 3)


def test_one_seed_has_no_range() -> None:
    """So there is no verdict."""
    assert {one.verdict for one in compare([RUN])} == {"one seed"}


def test_nothing_is_compared_where_nothing_was_published() -> None:
    """As with another number of messages."""
    assert compare([replace(RUN, messages=11)]) == []
    assert published_messages(100) == 10
    assert published_messages(101) is None
