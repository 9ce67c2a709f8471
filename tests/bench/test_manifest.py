"""The manifest of a sweep."""

import json
import re
from pathlib import Path
from typing import Any

from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.bench.sweep import sweep
from pubsub_sim.results import Store


def tiny(folder: Path, **more: Any) -> SweepOptions:
    return SweepOptions(
        **{
            "versions": "baseline",
            "hosts": 2,
            "messages": 1,
            "repeats": 2,
            "out": str(folder),
            "progress": "none",
            "share": True,
        }
        | more
    )


def test_manifest_lists_what_was_planned_and_how_it_ended(tmp_path: Path) -> None:
    """Every run of the sweep by its file, with its outcome; counts and options at the head."""
    sweep(tiny(tmp_path, messages=[1, 1_000_000], limit_s=1.0, repeats=1, calls_repeats=1, slow_limit_s=1.5))
    found = json.loads((tmp_path / "manifest.json").read_text())
    assert (found["planned"], found["done"]) == (4, 4)
    assert sorted((run["kind"], run["outcome"]) for run in found["runs"]) == [
        ("calls", "ok"),
        ("calls", "timeout"),
        ("timing", "ok"),
        ("timing", "timeout"),
    ]
    assert {run["file"] for run in found["runs"]} == {path.name for path in Store(tmp_path).files()}
    assert found["options"]["calls_repeats"] == 1


def test_manifest_is_the_same_bytes_but_for_times(tmp_path: Path) -> None:
    """Measured again, in another folder and shown in another way, it differs in its times only; resuming changes nothing."""
    texts = []
    for name in ("one", "two"):
        sweep(tiny(tmp_path / name))
        sweep(tiny(tmp_path / name, retry_failed=True))
        texts.append((tmp_path / name / "manifest.json").read_text())
    assert re.search(r'"utc": "2', texts[0])
    without = [re.sub(r'"utc": "[^"]*"', '"utc": ""', text) for text in texts]
    assert without[0] == without[1]


def test_manifest_tells_why_a_cell_was_stopped(tmp_path: Path) -> None:
    """With the stop rule each cell has its repeats, its width and the reason."""
    sweep(tiny(tmp_path, versions="baseline,states", half_width=100, max_repeats=3))
    (stop,) = json.loads((tmp_path / "manifest.json").read_text())["stopping"]
    assert (stop["hosts"], stop["messages"], stop["repeats"], stop["reason"]) == (2, 1, 2, "narrow")
    assert 0 < stop["half_width"] < 100
