"""Where and with what something was measured."""

import getpass
import json
import platform
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

import pubsub_sim
from pubsub_sim.bench.provenance import RUN_STARTS, measured_sources, of_the_moment, of_the_sweep
from pubsub_sim.bench.sources import imported
from pubsub_sim.scenarios.versions import known_versions


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


ROOT = Path(pubsub_sim.__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy of both packages, which every test leaves as it was, and its hash."""
    root = tmp_path_factory.mktemp("sources")
    for package in ("asyncmachine", "pubsub_sim"):
        copytree(ROOT / package, root / package, ignore=ignore_patterns("__pycache__"))
    return root, measured_sources(root)


@pytest.mark.xdist_group("copied sources")
@pytest.mark.parametrize(
    ("name", "is_measured"),
    [
        ("pubsub_sim/node/streams.py", True),
        ("pubsub_sim/drivers/baseline/pubsub_loop.py", True),
        ("pubsub_sim/drivers/baseline/__init__.py", True),
        ("pubsub_sim/checks.py", True),
        ("asyncmachine/machine.py", True),
        ("pubsub_sim/bench/worker.py", True),
        ("pubsub_sim/bench/sweep.py", False),
        ("pubsub_sim/report/figures.py", False),
        ("asyncmachine/pipes.py", False),
        ("asyncmachine/benchmark/timing.py", False),
        ("pubsub_sim/node/notes.txt", False),
    ],
)
def test_hash_follows_what_is_measured(sources: tuple[Path, str], name: str, is_measured: bool) -> None:
    """The hash changes with what a run imports, and with nothing else; the same sources have the same hash."""
    root, before = sources
    path = root / name
    text = path.read_text() if path.exists() else None
    path.write_text((text or "") + "\n# changed\n")
    try:
        after = measured_sources(root)
        assert (after != before) == is_measured
        assert measured_sources(root) == after
    finally:
        if text is None:
            path.unlink()
        else:
            path.write_text(text)


LOADED = """
import json, sys
from pubsub_sim.bench.spec import RunSpec
from pubsub_sim.bench.worker import measure
assert measure(RunSpec.from_json(sys.argv[1]))["outcome"] == "ok"
files = [getattr(module, "__file__", None) for module in sys.modules.values()]
print(json.dumps(sorted(file for file in files if file and file.startswith(sys.argv[2]))))
"""


@pytest.mark.parametrize("kind", ["timing", "memory"])
@pytest.mark.parametrize("version", known_versions())
def test_nothing_is_loaded_that_was_not_hashed(version: str, kind: str) -> None:
    """Every file of ours that a worker has loaded after a run is among those whose change makes stored runs stale."""
    spec = json.dumps({"version": version, "hosts": 3, "messages": 1, "kind": kind})
    done = subprocess.run(
        [sys.executable, "-c", LOADED, spec, str(ROOT)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    ours = [Path(file) for file in json.loads(done.stdout.splitlines()[-1]) if ".venv" not in file]
    assert len(ours) > 30
    assert set(ours) <= set(imported(ROOT, RUN_STARTS))
