"""The committed report belongs to the committed runs."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from shutil import copytree

import pandas as pd
import pyarrow as pa
import pytest

from pubsub_sim.report import comparators
from pubsub_sim.report.build import build_report
from pubsub_sim.report.summary import is_stale
from pubsub_sim.report.sweep import Sweep
from pubsub_sim.results import Store, wide
from pubsub_sim.results.parquet import SCHEMA, read_whole, write_whole

ROOT = Path(__file__).parents[2]
NETWORKS = (
    ("floodsub", "memory"),
    ("floodsub", "tcp"),
    ("floodsub", "libp2p"),
    ("gossipsub", "memory"),
    ("gossipsub", "tcp"),
)


def test_a_changed_number_makes_the_committed_report_stale(tmp_path: Path) -> None:
    """Any one number of the runs, changed by 1 in its Parquet file, is found."""
    copytree(ROOT / "data" / "raw" / "published", tmp_path / "published")
    chance = random.Random(1)
    path = chance.choice(sorted((tmp_path / "published").glob("*.parquet")))
    table = read_whole(path)
    values = table["value"].to_pylist()
    values[chance.randrange(len(values))] += 1
    place = SCHEMA.get_field_index("value")
    write_whole(table.set_column(place, SCHEMA.field(place), pa.array(values, pa.int64())), path)
    assert is_stale(ROOT / "data" / "report", tmp_path)


@pytest.mark.xdist_group("kernels")
def test_the_committed_report_is_what_its_runs_give(tmp_path: Path) -> None:
    """Built again from the published runs, on whatever machine this is, every file of the report is the committed bytes."""
    committed, built = ROOT / "data" / "report", tmp_path / "report"
    build_report("published", built)
    names = sorted(str(path.relative_to(built)) for path in built.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(committed)) for path in committed.rglob("*") if path.is_file())
    for name in names:
        assert (built / name).read_bytes() == (committed / name).read_bytes(), name


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    """The committed runs, a row each."""
    return wide(Store(ROOT / "data" / "raw" / "published").load())


@pytest.mark.xdist_group("published")
def test_the_published_sweep_is_the_originals_full_grid_without_a_failure(runs: pd.DataFrame) -> None:
    """4 x 5 cells, ten sessions of two repeats, both versions: 800 runs, each pair with its control, and all of ours ended well."""
    main = (runs[["router", "transport", "loop", "sign"]] == ["floodsub", "memory", "uvloop", "strict"]).all(
        axis="columns"
    )
    compared = runs.loc[main & (runs["kind"] == "timing")]
    assert sorted(compared["hosts"].unique()) == [5, 10, 15, 20]
    assert sorted(compared["messages"].unique()) == [20, 40, 60, 80, 100]
    assert set(compared.groupby(["version", "hosts", "messages", "session"]).size()) == {2}
    assert compared.groupby("version").size().to_dict() == {"baseline": 400, "states": 400}
    assert (main & (runs["kind"] == "control")).sum() == 400
    assert {"memory", "calls", "lag", "field", "whole"} <= set(runs["kind"])
    ours = runs["version"].isin(["baseline", "states", "direct", "lower-bound"])
    assert set(runs.loc[ours, "outcome"]) == {"ok"}


@pytest.mark.xdist_group("published")
def test_the_published_sweep_measures_every_condition_of_the_report(runs: pd.DataFrame) -> None:
    """Routers, networks, event loops and signing, each in ten sessions, with the real stack of libp2p among them."""
    timed = runs.loc[runs["kind"] == "timing"]
    sessions = timed.groupby(["router", "transport", "loop", "sign"])["session"].nunique()
    assert set(sessions) == {10}
    signs = ("strict", "none")
    places = [("floodsub", "memory", "asyncio"), *((router, network, "uvloop") for router, network in NETWORKS)]
    assert set(sessions.index) == {(*place, sign) for place in places for sign in signs}


def test_the_published_sweep_compares_go_libp2p_in_ten_pairs() -> None:
    """With versions over libp2p that were measured with it, so that the ratio has an interval."""
    sweep = Sweep.load(ROOT / "data" / "raw" / "published")
    found = {(one.version, one.sign): one for one in comparators.list_encrypted(sweep)}
    for version, sign in itertools.product(("baseline", "states"), ("strict", "none")):
        assert found[version, sign].over == "go-libp2p"
        assert found[version, sign].ratio.observations == 10
        assert found[version, sign].ratio.has_interval


def test_the_published_runs_come_from_committed_sources() -> None:
    """Measured files that are the same in all runs, nothing changed beside a commit, and the conditions on record."""
    facts = Store(ROOT / "data" / "raw" / "published").provenance()
    assert facts["dirty"] == [False]
    assert len(facts["sources"]) == 1
    assert all(isinstance(commit, str) for commit in facts["commit"])
    assert json.dumps(facts["environment"]).count("MALLOC_") >= 2
