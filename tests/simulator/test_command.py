"""The command `simulate`: flags, files, exit statuses, metrics."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from asyncmachine.record import Record
from pubsub_sim.__main__ import main
from pubsub_sim.errors import OptionError, PubsubSimError
from pubsub_sim.simulator.command import SimulateOptions, simulate
from pubsub_sim.simulator.dashboard import dashboard, dashboard_text, expressions
from pubsub_sim.simulator.options import SimOptions
from pubsub_sim.simulator.simulation import Simulation

ROOT = Path(__file__).parents[2]
SHORT = ["--duration", "20s", "--peers", "8", "--topics", "4"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"duration": "soon"}, "duration"),
        ({"duration": 0}, "duration"),
        ({"peers": 1}, "peers"),
        ({"every_send": -1}, "every_send"),
        ({"version": "third"}, "version"),
        ({"latency_ms": "50,10"}, "latency_s"),
        ({"latency_ms": "fast"}, "latency_ms"),
        ({"initial_peers": 31}, "initial_peers=31 cannot be used with peers=30"),
        ({"initial_topics": 9, "topics": 8}, "initial_topics=9 cannot be used with topics=8"),
        ({"transport": "tcp"}, "clock='virtual'"),
        ({"transport": "tcp", "clock": "wall", "loss": 0.1}, "loss=0.1 cannot be used with transport='tcp'"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(options: dict[str, Any], words: str) -> None:
    """A value that cannot be, and two that do not go together, are errors of their own kinds, one line each."""
    with pytest.raises(PubsubSimError) as refused:
        SimOptions(**options)
    assert isinstance(refused.value, OptionError)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_command_tells_the_account(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line has what was owed, delivered and missed; as JSON it is the same, and the status is 0."""
    assert main(["simulate", *SHORT]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert main(["simulate", *SHORT, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert f"{told['owed']} deliveries owed, {told['delivered']} delivered" in last
    assert told["owed"] == told["delivered"] + sum(told["missed"].values())


def test_a_yaml_file_gives_options_and_flags_count_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Options may come from a file; a name that no option has is refused with the file's word."""
    path = tmp_path / "sim.yaml"
    path.write_text("duration: 20s\npeers: 8\ntopics: 4\nseed: 7\njson: true\n")
    assert main(["simulate", "--config", str(path), "--seed", "1"]) == 0
    from_file = json.loads(capsys.readouterr().out)
    assert main(["simulate", *SHORT, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == from_file
    path.write_text("peeers: 8\n")
    assert main(["simulate", "--config", str(path)]) == 2
    assert "peeers" in capsys.readouterr().err
    assert main(["simulate", "--config", str(tmp_path / "none.yaml")]) == 2


def test_the_status_is_1_if_the_account_does_not_add_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A delivery that is missed without a reason fails the command."""
    take = Simulation._begin

    def begin(sim: Simulation) -> None:
        take(sim)
        sim.ledger.missed["unexplained"] += 1

    monkeypatch.setattr(Simulation, "_begin", begin)
    assert main(["simulate", *SHORT]) == 1
    assert "does not add up" in capsys.readouterr().out


def test_record_and_series_hold_the_run(tmp_path: Path) -> None:
    """The record has the machines of root, peers and topics; the series has a row per second, and the result beside it."""
    options = SimulateOptions(
        duration="20s",
        peers=8,
        topics=4,
        live=False,
        record=str(tmp_path / "run.sqlite"),
        series=str(tmp_path / "run.parquet"),
    )
    outcome = simulate(options)
    assert not outcome.problems
    table = pq.read_table(tmp_path / "run.parquet")
    frame = table.to_pandas()
    assert json.loads(table.schema.metadata[b"result"])["digest"] == outcome.result.digest
    assert json.loads(table.schema.metadata[b"options"])["peers"] == 8
    assert len(frame) >= 21
    assert frame["peers"].iloc[-1] > 0
    assert int(frame["sent"].iloc[-1]) == outcome.result.sent
    with Record.open(tmp_path / "run.sqlite") as record:
        names = {machine.id for machine in record.machines}
    assert {"sim", "sim-p0", "ps-0"} <= names


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_and_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the series cannot be written, the run and its account stand, one sentence says why, and the status is 1."""
    (tmp_path / "file").write_text("")
    assert main(["simulate", *SHORT, "--series", str(tmp_path / "file" / "run.parquet")]) == 1
    told = capsys.readouterr()
    assert "deliveries owed" in told.out
    assert len(told.err.splitlines()) == 1


def test_an_interrupt_keeps_what_was_recorded(tmp_path: Path) -> None:
    """Ctrl-C ends the run in order: the account is told, the record is whole, and the status is 130."""
    words = [sys.executable, "-m", "pubsub_sim", "simulate", "--clock", "wall", "--duration", "5m", "--peers", "4"]
    path = tmp_path / "run.sqlite"
    with subprocess.Popen(
        [*words, "--record", str(path), "--prometheus", "127.0.0.1:0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()  # says where the metrics are
        assert "http://" in line
        url = line.split()[-1]
        while b"pubsub_sim_peers " not in urllib.request.urlopen(url, timeout=60).read():
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "deliveries owed" in out
    assert "kept" in err
    with Record.open(path) as record:
        assert any(machine.id == "sim" for machine in record.machines)


def test_every_expression_of_the_dashboard_names_metrics_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each metric of each panel is served by a run; and the counters are what the account says."""
    pytest.importorskip("prometheus_client")
    from prometheus_client import generate_latest

    from pubsub_sim.simulator import prometheus

    kept: list[prometheus.Exporter] = []
    enter = prometheus.Exporter.__enter__

    def keep(exporter: prometheus.Exporter) -> prometheus.Exporter:
        kept.append(exporter)
        return enter(exporter)

    monkeypatch.setattr(prometheus.Exporter, "__enter__", keep)
    outcome = simulate(SimulateOptions(duration="20s", peers=8, topics=4, prometheus="127.0.0.1:0", live=False))
    text = generate_latest(kept[0].registry).decode()
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    names = {key.split("{")[0] for key in samples}
    wanted = {name for text in expressions() for name in re.findall(r"(?:asyncmachine|pubsub_sim)_\w+", text)}
    assert wanted
    assert wanted <= names
    assert float(samples["pubsub_sim_messages_owed_total"]) == outcome.result.owed
    assert float(samples["pubsub_sim_messages_delivered_total"]) == outcome.result.delivered
    counted = sum(float(value) for key, value in samples.items() if key.startswith("asyncmachine_transitions_total{"))
    assert counted == outcome.meter.transitions.total()


def test_the_dashboard_in_the_tree_is_current() -> None:
    """The file is what the command writes, and its panels have titles, places and expressions."""
    assert (ROOT / "data/grafana/simulator.json").read_text() == dashboard_text()
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    assert all(panel["targets"] and panel["title"] for panel in panels)
    assert len({panel["id"] for panel in panels}) == len(panels)
