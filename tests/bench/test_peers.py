"""The implementations that can be set beside ours: what pins them, and that they keep the protocol where they are built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pubsub_sim.bench import peers
from pubsub_sim.bench.grid import specification
from pubsub_sim.bench.process import run_worker
from pubsub_sim.results import RUN, RunParameters, RunRecord
from pubsub_sim.scenarios.simple_discovery import PHASES

ROOT = Path(__file__).parents[2]
FOLDER = Path(peers.__file__).parent
BUILT = ROOT / ".venv-peers"
COMMANDS = {
    "py-libp2p": (str(BUILT / "bin" / "python"), str(FOLDER / "py_libp2p.py")),
    "go-libp2p": (str(BUILT / "bin" / "go-libp2p"),),
}
MODULE = re.compile(r"^(?:require )?\t?(\S+\.\S+/\S+|\S+\.\S+) (v\S+)", re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("sign", ["strict", "none"])
def test_a_peer_plays_the_scenario(name: str, sign: str) -> None:
    """Its phases are ours, it counts what ratios are taken of, and it says what it does that ours do not."""
    run = asked(name, transport="tcp", sign=sign)
    answer = run_worker(specification(run), environment={}, limit_s=60, command=built(name))
    assert (answer.outcome, answer.error) == ("ok", "")
    record = RunRecord(parameters=run, outcome="ok", rows=answer.rows, version=answer.version)
    phases = list(dict.fromkeys(row.phase for row in answer.rows if row.phase != RUN))
    assert phases == [phase for phase in PHASES if phase in phases]
    assert record.value("rand msgs", "cpu_ns")
    assert 4 * 2 * 2 - 4 * 2 <= (record.value("rand msgs", "rpcs") or 0) <= 4 * 2 * 2
    assert name in answer.version["summary"]
    assert any("encrypts" in words for words in answer.version["also"])


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(("option", "value"), [("transport", "memory"), ("router", "gossipsub"), ("barrier", False)])
def test_a_peer_refuses_what_it_cannot_play(name: str, option: str, value: object) -> None:
    """A failed run of one sentence that names the option; nothing else is played in its place."""
    run = asked(name, **{"transport": "tcp", option: value})
    answer = run_worker(specification(run), environment={}, limit_s=60, command=built(name))
    assert answer.outcome == "failed"
    assert re.match(rf"{option}: expected .*, got .*{str(value).lower()}", answer.error)


def test_every_module_of_the_go_program_is_pinned() -> None:
    """A version each, and a hash of it: what is built tomorrow is what was measured today. No address, no detour."""
    wanted = (FOLDER / "go_libp2p" / "go.mod").read_text()
    hashes = (FOLDER / "go_libp2p" / "go.sum").read_text()
    modules = MODULE.findall(wanted)
    assert {"github.com/libp2p/go-libp2p", "github.com/libp2p/go-libp2p-pubsub"} <= {name for name, _ in modules}
    assert all(f"{name} {version}" in hashes for name, version in modules)
    assert not re.search(r"replace|https?://", wanted + hashes)


def test_the_go_program_begins_phases_of_ours_in_their_order() -> None:
    """Also where it is not built: a phase of another name would stand in no table."""
    begun = re.findall(r'phases\.begin\("([^"]+)"\)', (FOLDER / "go_libp2p" / "discovery.go").read_text())
    assert begun == [phase for phase in PHASES if phase in begun]
    assert "rand msgs" in begun


def asked(name: str, **options: object) -> RunParameters:
    return RunParameters(**({"version": name, "hosts": 3, "messages": 4, "kind": "field"} | options))  # type: ignore[arg-type]


def built(name: str) -> tuple[str, ...]:
    """Give the command of a peer, or skip the test where nobody has built it."""
    command = COMMANDS[name]
    if not Path(command[0]).exists():
        pytest.skip(f"{name} is built by `make bench PEERS=1`")
    return command
