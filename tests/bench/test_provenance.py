"""Where and with what something was measured."""

import getpass
import json
import platform
from pathlib import Path

import pytest

import pubsub_sim
from pubsub_sim.bench.provenance import measured_sources, of_the_moment, of_the_sweep


def test_facts_tell_code_interpreter_and_machine() -> None:
    """The facts of a sweep tell the code, the interpreter, the libraries and the machine."""
    facts = of_the_sweep()
    assert facts["python"] == platform.python_version()
    assert facts["cpus"] >= 1
    assert len(facts["sources"]) == 64
    assert facts.keys() >= {
        "commit",
        "dirty",
        "uvloop",
        "protobuf",
        "pynacl",
        "cpu",
        "kernel",
        "libc",
        "implementation",
    }
    assert of_the_moment().keys() == {"utc", "load_average"}


def test_facts_name_no_person_host_or_folder() -> None:
    """No host name, user name or absolute path is among the facts."""
    text = json.dumps(of_the_sweep() | of_the_moment())
    assert platform.node() not in text
    assert f'"{getpass.getuser()}"' not in text
    assert str(Path(pubsub_sim.__file__).parents[1]) not in text
    assert str(Path.home()) + "/" not in text


@pytest.mark.parametrize(
    ("name", "is_measured"),
    [
        ("pubsub_sim/node/peer.py", True),
        ("pubsub_sim/drivers/baseline/loop.py", True),
        ("asyncmachine/machine.py", True),
        ("pubsub_sim/bench/worker.py", True),
        ("pubsub_sim/bench/sweep.py", False),
        ("pubsub_sim/report/figures.py", False),
        ("pubsub_sim/node/notes.txt", False),
    ],
)
def test_hash_follows_what_is_measured(tmp_path: Path, name: str, is_measured: bool) -> None:
    """The hash changes with the measured sources, their names included, and with nothing else."""
    before = measured_sources(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text("one = 1\n")
    one = measured_sources(tmp_path)
    path.write_text("one = 2\n")
    two = measured_sources(tmp_path)
    assert len({before, one, two}) == (3 if is_measured else 1)
