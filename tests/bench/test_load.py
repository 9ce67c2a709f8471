"""Sweeps under load: their options, their order, what they store, and what they make of failures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pubsub_sim.__main__ import main
from pubsub_sim.bench.load_options import LoadOptions, load_of
from pubsub_sim.bench.load_sweep import LoadInterrupted, sweep_load
from pubsub_sim.bench.load_worker import measure
from pubsub_sim.bench.sessions import Layout
from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.flags import from_flags
from pubsub_sim.parameters import UnknownParameterError
from pubsub_sim.results.load import LoadRecord, LoadStore
from pubsub_sim.results.saturation import find_saturation
from pubsub_sim.scenarios.load import Load

pytestmark = pytest.mark.xdist_group("load sweep")

TINY: dict[str, Any] = {
    "versions": ("baseline", "states"),
    "hosts": 2,
    "loads": (50,),
    "most_in_flight": 2,
    "sessions": 1,
    "duration_s": 0.2,
    "warmup_s": 0.0,
    "loop": "asyncio",
    "sign": "none",
    "progress": "none",
    "share": True,
}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny sweep; whoever changes it makes another."""
    folder = tmp_path_factory.mktemp("load") / "sweep"
    result = sweep_load(LoadOptions(**TINY, out=str(folder)))
    assert result.sentence() == "6 runs (6 ok): 6 measured now, 0 kept"
    return folder


def of(records: list[LoadRecord], version: str) -> list[LoadRecord]:
    return [record for record in records if record.run.version == version]


def test_a_sweep_searches_for_the_saturation_and_loads_each_version_by_its_own(swept: Path) -> None:
    """Closed loops side by side with more and more in flight, then an open loop at a share of what they found."""
    records = LoadStore(swept).load()
    assert [record.run.in_flight for record in records] == [1, 1, 2, 2, 0, 0]
    assert [record.order for record in records] == list(range(6))
    for version in ("baseline", "states"):
        *closed, opened = of(records, version)
        found = find_saturation([(one.run.in_flight, one.throughput or 0.0) for one in closed])
        assert found is not None
        assert opened.run.percent == 50
        assert opened.run.rate == pytest.approx(found.throughput / 2, abs=0.001)


def test_a_run_is_stored_with_all_its_numbers(swept: Path) -> None:
    """Deliveries that add up, latencies in order, memory, what the machine did, and where it was."""
    for record in LoadStore(swept).load():
        numbers = record.numbers
        missing = numbers["dropped_subscription"] + numbers["dropped_on_the_way"]
        assert numbers["delivered"] + missing == 2 * numbers["sent"] > 0
        assert numbers["p50_ns"] <= numbers["p90_ns"] <= numbers["p99_ns"] <= numbers["p999_ns"] <= numbers["max_ns"]
        assert numbers["peak_rss_bytes"] >= numbers["start_rss_bytes"] > 0
        assert numbers["window_ns"] == 200_000_000
        assert len(record.completed_by) == len(record.offered_by) == 2
        assert {"sources", "cpu", "layout", "environment", "utc"} <= set(record.provenance)


def test_stored_runs_are_kept(swept: Path) -> None:
    """The same sweep makes nothing anew, whether it measures or only looks."""
    for measures in (True, False):
        result = sweep_load(LoadOptions(**TINY, out=str(swept), measure=measures))
        assert (result.planned, result.measured, result.kept) == (6, 0, 6)


def test_looking_at_nothing_finds_nothing(tmp_path: Path) -> None:
    """And makes no folder."""
    result = sweep_load(LoadOptions(**TINY, out=str(tmp_path / "none"), measure=False))
    assert result.planned == 0
    assert not (tmp_path / "none").exists()


def test_a_failed_run_is_a_record_with_its_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The search of that version ends, the others go on, and a failed run is made again when asked for."""
    tiny = TINY | {"versions": ("baseline",), "limit_s": 0.001, "progress": "lines"}
    options = LoadOptions(**tiny, out=str(tmp_path))
    result = sweep_load(options)
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 of 1 runs, 1 timeout")
    assert result.outcomes == {"timeout": 1}
    (record,) = LoadStore(tmp_path).load()
    assert record.error.startswith("the run was stopped at its limit of 0.001 s")
    assert sweep_load(options).measured == 0
    again = sweep_load(replace(options, limit_s=60.0, retry_failed=True))
    assert again.outcomes == {"ok": 3}


def test_rates_are_the_same_for_all_versions_and_need_no_search(tmp_path: Path) -> None:
    """Messages a second of all publishers together."""
    sweep_load(LoadOptions(**TINY | {"loads": (), "rates": (400, 800.5)}, out=str(tmp_path)))
    runs = [record.run for record in LoadStore(tmp_path).load()]
    assert {(run.version, run.rate) for run in runs} == {
        (version, rate) for version in ("baseline", "states") for rate in (400.0, 800.5)
    }
    assert {(run.in_flight, run.percent) for run in runs} == {(0, 0)}


def test_a_run_that_raises_is_a_failure_with_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    """The worker says what it was and logs where."""
    options = Load(version="baseline", in_flight=1, sign="none", duration_s=0.05, transport="memory", hosts=2)
    answer = measure(options, "no-loop")
    assert answer["outcome"] == "failed"
    assert answer["error"] == "loop: expected 'uvloop' or 'asyncio', got 'no-loop'"
    assert answer["rows"] == [("run", "failures", 1)]
    assert "Traceback" in capfd.readouterr().err


def test_the_command_stores_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line with counts, and the status of failures."""
    words = ["load", "--versions", "lower-bound", "--hosts", "2", "--loads", "", "--rates", "200", "--sessions", "1"]
    words += ["--duration-s", "0.05", "--warmup-s", "0", "--loop", "asyncio", "--sign", "none", "--share"]
    words += ["--progress", "none", "--out", str(tmp_path)]
    assert main(words) == 0
    assert capsys.readouterr().out == f"1 runs (1 ok): 1 measured now, 0 kept, in {tmp_path / 'load'}\n"
    assert main([*words, "--limit-s", "0.001", "--force"]) == 1
    assert "the run was stopped at its limit" in capsys.readouterr().err


def test_an_interrupted_sweep_says_what_is_stored_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs made so far stay, and the same sweep makes the others."""
    options = LoadOptions(**TINY | {"loads": (), "rates": (300, 600), "versions": ("lower-bound",)}, out=str(tmp_path))
    draw = Layout.draw
    calls = []

    def interrupted(seed: int, session: int) -> Layout:
        calls.append(session)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return draw(seed, session)

    monkeypatch.setattr(Layout, "draw", interrupted)
    with pytest.raises(LoadInterrupted, match=r"interrupted; 1 runs are stored in .*load; the same sweep goes on"):
        sweep_load(options)
    monkeypatch.undo()
    result = sweep_load(options)
    assert (result.measured, result.kept) == (1, 1)


def test_a_damaged_run_is_moved_aside_and_made_again(tmp_path: Path) -> None:
    """And the sentence says so."""
    options = LoadOptions(**TINY | {"loads": (), "rates": (300,), "versions": ("lower-bound",)}, out=str(tmp_path))
    sweep_load(options)
    (path,) = (tmp_path / "load").iterdir()
    path.write_bytes(path.read_bytes()[:100])
    result = sweep_load(options)
    assert result.measured == 1
    assert f"{path.name} is now {path.name}.corrupt" in result.sentence()


# --- options -----------------------------------------------------------------------------------------------------


def test_flags_are_read_by_the_types_of_the_fields() -> None:
    """Lists with commas, numbers and switches."""
    options: LoadOptions = from_flags(LoadOptions, "load", "", ["--loads", "10,95", "--rates", "100.5", "--no-measure"])
    assert (options.loads, options.rates, options.measure) == ((10, 95), (100.5,), False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loads": (0,)}, "loads: expected a whole number of at least 1, got 0"),
        ({"loads": (300,)}, "loads: expected a whole number of at most 200, got 300"),
        ({"rates": (0,)}, "rates: expected messages a second, above 0, got 0"),
        ({"rates": ("fast",)}, "rates: expected a number of at least 0, got 'fast'"),
        ({"versions": ("origin",)}, "versions: expected one of "),
        ({"most_in_flight": 0}, "most_in_flight: expected a whole number of at least 1, got 0"),
        ({"sessions": 0}, "sessions: expected a whole number of at least 1, got 0"),
        ({"hosts": 1}, "hosts: expected a whole number of at least 2, got 1"),
        ({"router": "randomsub"}, "router: expected one of floodsub, gossipsub, got 'randomsub'"),
        ({"loop": "trio"}, "loop: expected 'uvloop' or 'asyncio', got 'trio'"),
        ({"allocator": "own"}, "allocator: expected one of pinned, default, got 'own'"),
        ({"quiet_only": "yes"}, "quiet_only: expected one of no, wait, stop, got 'yes'"),
        ({"measure": 1}, "measure: expected true or false, got 1"),
        ({"limit_s": 0}, "limit_s: expected a number of seconds above 0, got 0"),
        ({"out": ""}, "out: expected the name of a folder, got ''"),
    ],
)
def test_an_unusable_option_is_named(options: dict[str, Any], message: str) -> None:
    """Before anything is measured."""
    with pytest.raises(OptionError) as caught:
        LoadOptions(**options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loads": (), "rates": ()}, "loads=() cannot be used with rates=(): there is nothing to run"),
        ({"publishers": 9}, "publishers=9 cannot be used with hosts=5: publishers are hosts"),
        (
            {"router": "gossipsub"},
            "router='gossipsub' cannot be used with version='lower-bound': it only floods, in memory or over TCP",
        ),
    ],
)
def test_options_that_exclude_each_other_are_named(options: dict[str, Any], message: str) -> None:
    """Both, and why."""
    with pytest.raises(OptionConflict) as caught:
        LoadOptions(**options)
    assert str(caught.value) == message


def test_an_unknown_parameter_is_refused() -> None:
    """With the nearest known one."""
    with pytest.raises(UnknownParameterError, match="rate: there is no such parameter, did you mean 'rates'"):
        LoadOptions.from_parameters({"rate": 5})


def test_a_run_is_played_as_it_is_stored() -> None:
    """What identifies a run is what the scenario is given."""
    options = LoadOptions(hosts=7, publishers=3, payload_bytes=64, sign="none", seed=4)
    given = load_of(options.run("states", 2, percent=50, rate=123.5))
    assert (given.version, given.hosts, given.publishers, given.payload_bytes) == ("states", 7, 3, 64)
    assert (given.rate, given.in_flight, given.seed, given.sign) == (123.5, 0, 5, "none")
