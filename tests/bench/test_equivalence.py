"""The command `equivalence`: what it prints, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pubsub_sim import OptionError
from pubsub_sim.bench.equivalence import EquivalenceOptions
from tests.bench.processes import children, wait_until
from tests.bench.test_foreign_version import FAILS, environment

UNTOLD = """
from pubsub_sim.drivers.baseline import describe, make_driver as make

def make_driver(seat):
    announce, join = seat.core.announcer.announce, seat.core.join
    seat.core.announcer.announce = lambda topic, subscribe: None
    def join_first(topic):
        join(topic)
        announce(topic, subscribe=True)
    seat.core.join = join_first
    return make(seat)
"""
HANGS = """
from pubsub_sim.drivers.baseline import describe

def make_driver(seat):
    while True:
        pass
"""
DIES = """
from pubsub_sim.drivers.baseline import describe
import os

def make_driver(seat):
    os._exit(3)
"""


def command(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pubsub_sim", "equivalence", *words],
        capture_output=True,
        text=True,
        check=False,
        env=env,
    )


def test_versions_that_decide_the_same_are_a_line_each() -> None:
    """One for each router and kind, and status 0."""
    done = command("--routers=floodsub", "--kinds=calm,loss", "--seeds=3", "--workers=2")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line.split()[:7] for line in lines] == [
        ["floodsub", kind, "3", "of", "3", "seeds", "equal,"] for kind in ("calm", "loss")
    ]


def test_a_difference_is_shown_with_the_command_that_replays_it(tmp_path: Path) -> None:
    """Status 1; the command given, and nothing else, shows the same again."""
    env = environment(tmp_path, UNTOLD)
    words = ("--versions=baseline,mine", "--routers=gossipsub", "--kinds=churn", "--seeds=2", "--first-seed=5")
    done = command(*words, env=env)
    assert done.returncode == 1
    assert "gossipsub, churn, seed 5: " in done.stdout
    assert "the traces part at host " in done.stdout
    assert done.stdout.splitlines()[-1].split()[:7] == ["gossipsub", "churn", "0", "of", "2", "seeds", "equal,"]
    told = [line for line in done.stdout.splitlines() if line.startswith("play it again: ")]
    assert len(told) == 2
    again = command(*told[0].removeprefix("play it again: python -m pubsub_sim equivalence ").split(), env=env)
    assert again.returncode == 1
    first = done.stdout.partition(told[0])[0]
    assert again.stdout.startswith(first)


def test_a_version_that_fails_is_a_difference(tmp_path: Path) -> None:
    """Its error is told, and the other seeds are compared all the same."""
    words = ("--versions=baseline,mine", "--routers=floodsub", "--kinds=calm", "--seeds=2", "--workers=1")
    done = command(*words, env=environment(tmp_path, FAILS))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.count("mine failed\n") == 2
    assert "RuntimeError: no driver" in done.stdout


@pytest.mark.parametrize("source", [HANGS, DIES], ids=["hangs", "dies"])
def test_a_version_that_gives_no_verdict_ends_the_command(tmp_path: Path, source: str) -> None:
    """In one sentence, with the command that plays this case alone."""
    words = ("--versions=baseline,mine", "--routers=floodsub", "--kinds=calm", "--seeds=2", "--workers=1")
    done = command(*words, "--limit-s=2", env=environment(tmp_path, source))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "floodsub, calm, seed 1: no verdict within 2 s; play it again: python -m pubsub_sim equivalence "
        "--versions baseline,mine --routers floodsub --kinds calm --first-seed 1 --seeds 1 --workers 1\n"
    )


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_the_command(tmp_path: Path, sign: signal.Signals) -> None:
    """Though it is in the middle of a case that never ends."""
    words = ("--versions=mine,baseline", "--routers=floodsub", "--kinds=calm", "--seeds=2", "--workers=2")
    source = HANGS.replace("pass", f"open({str(tmp_path / 'begun')!r}, 'a').close()")
    with subprocess.Popen(
        [sys.executable, "-m", "pubsub_sim", "equivalence", *words],
        env=environment(tmp_path, source),
        stderr=subprocess.DEVNULL,
    ) as running:
        assert wait_until((tmp_path / "begun").exists)
        workers = children(running.pid)
        assert len(workers) >= 2
        os.kill(running.pid, sign)
        assert running.wait(120) == (-sign if sign == signal.SIGKILL else 130)
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"versions": "baseline"}, "versions: expected two versions, got \\('baseline',\\)"),
        (
            {"versions": "baseline,origin"},
            "versions: expected one of baseline, states, direct, states-rpc, lower-bound, got 'origin'",
        ),
        ({"routers": "randomsub"}, "routers: expected one of floodsub, gossipsub, got 'randomsub'"),
        ({"kinds": "calm,calm"}, "kinds: expected each value once \\('calm' is there twice\\), got 'calm,calm'"),
        ({"seeds": 0}, "seeds: expected a whole number of at least 1, got 0"),
        ({"first_seed": "x"}, "first_seed: expected a whole number of at least 0, got 'x'"),
        ({"limit_s": 0}, "limit_s: expected a number of seconds above 0, got 0"),
        ({"workers": -1}, "workers: expected a whole number of at least 0, got -1"),
    ],
)
def test_an_unusable_option_is_named(options: dict[str, object], message: str) -> None:
    """Before anything runs."""
    with pytest.raises(OptionError, match=message):
        EquivalenceOptions(**options)  # type: ignore[arg-type] # that is the point
