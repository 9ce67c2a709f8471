"""The committed report belongs to the committed runs."""

from __future__ import annotations

import json
from pathlib import Path

from pubsub_sim.report.summary import is_stale
from pubsub_sim.results import Store, wide

ROOT = Path(__file__).parents[2]


def test_the_committed_report_is_not_stale() -> None:
    """Every number of summary.json is what its sweep's runs give."""
    assert not is_stale(ROOT / "data" / "report")


def test_the_published_sweep_is_the_originals_full_grid_without_a_failure() -> None:
    """4 x 5 cells, 15 repeats, both versions: 600 runs."""
    runs = wide(Store(ROOT / "data" / "raw" / "published").load())
    assert sorted(runs["hosts"].unique()) == [5, 10, 15, 20]
    assert sorted(runs["messages"].unique()) == [20, 40, 60, 80, 100]
    assert runs.groupby("version").size().to_dict() == {"baseline": 300, "states": 300}
    assert set(runs["outcome"]) == {"ok"}


def test_the_published_runs_come_from_committed_sources() -> None:
    """One commit, nothing changed beside it, and the conditions on record."""
    facts = Store(ROOT / "data" / "raw" / "published").provenance()
    assert facts["dirty"] == [False]
    assert len(facts["commit"]) == len(facts["sources"]) == 1
    assert json.dumps(facts["environment"]).count("MALLOC_") >= 2
