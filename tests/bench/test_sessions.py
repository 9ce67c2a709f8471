"""Sessions of a sweep: what each draws anew, and how its workers start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pubsub_sim.bench.executors import divide
from pubsub_sim.bench.grid import plan
from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.bench.process import run_interleaved, run_worker
from pubsub_sim.bench.provenance import PACKAGES
from pubsub_sim.bench.sessions import LAYOUT, PADDING, Layout, list_modules
from pubsub_sim.bench.spec import RunSpec
from pubsub_sim.bench.sweep import sweep
from pubsub_sim.errors import OptionError
from pubsub_sim.places import packages_folder
from pubsub_sim.results import Store, wide

OPTIONS = SweepOptions(hosts=(3, 4), messages=(1, 2), repeats=2, sessions=3, control=True)
PROGRAMS = replace(
    OPTIONS, comparators=("lower-bound", "mine", "theirs"), programs=("mine=true", "theirs=true"), comparator_repeats=3
)
SPEC = RunSpec(version="baseline", hosts=2, messages=1, warmup=False).to_json()


def test_every_session_runs_the_whole_grid_after_the_one_before() -> None:
    """Sessions follow each other, and each holds every cell as often as asked."""
    sessions = [pair.runs[0].session for pair in plan(OPTIONS)]
    assert sessions == sorted(sessions)
    for session in (1, 2, 3):
        runs = [run for pair in plan(OPTIONS) for run in pair.runs if run.session == session]
        assert len(runs) == len(set(runs)) == 2 * 2 * 2 * 3


def test_first_session_is_the_sweep_that_has_no_other() -> None:
    """More sessions add runs and change none, so that a sweep can be given more of them."""
    one = plan(replace(OPTIONS, sessions=1))
    assert plan(OPTIONS)[: len(one)] == one


def test_no_two_repeats_of_a_cell_have_the_same_seed() -> None:
    """Each session plays other scenarios than the one before."""
    seeds = [pair.runs[0].seed for pair in plan(OPTIONS) if (pair.runs[0].hosts, pair.runs[0].messages) == (3, 1)]
    assert sorted(seeds) == [1, 2, 3, 4, 5, 6]


def test_what_is_not_repeated_in_each_session_is_dealt_out() -> None:
    """Instrumented runs and comparators have as many repeats as asked for in the whole sweep."""
    options = replace(OPTIONS, calls_repeats=4, comparators=("lower-bound",), comparator_repeats=3, control=False)
    runs = [run for pair in plan(options) for run in pair.runs if run.version == "baseline"]
    of_calls = {(run.session, run.repeat) for run in runs if run.kind == "calls"}
    assert of_calls == {(1, 1), (2, 2), (3, 3), (1, 4)}
    assert {(run.session, run.repeat) for run in runs if run.kind == "field"} == {(1, 1), (2, 2), (3, 3)}


@pytest.mark.parametrize(
    ("given", "mine", "theirs"),
    [
        (2, 2, 2),
        ("2", 2, 2),
        (0, 3, 3),
        ((), 3, 3),
        (["theirs=1"], 3, 1),
        ("theirs=1", 3, 1),
        (["2", "theirs=9"], 2, 3),
    ],
)
def test_programs_of_others_can_be_run_less_often(given: Any, mine: int, theirs: int) -> None:
    """Some take long, so they stand beside the first repeats only; each can have a number of its own."""
    options = replace(PROGRAMS, program_repeats=given)
    for name, number in (("mine", mine), ("theirs", theirs)):
        repeats = {run.repeat for pair in plan(options) for run in pair.runs if run.version == name}
        assert repeats == set(range(1, number + 1))


def test_a_plan_looks_for_versions_no_more_often_than_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed packages are searched for versions, which takes milliseconds: a sweep has thousands of runs."""
    monkeypatch.setattr("pubsub_sim.bench.options.known_versions", None)
    assert plan(PROGRAMS)


@pytest.mark.parametrize(
    "given", ["often", "-1", "mine=", "mine=x", "another=2", "40000", ["mine=1", "mine=2"], ["1", "2"]]
)
def test_repeats_of_programs_are_numbers(given: Any) -> None:
    """Anything else is refused with what was given, also a program that the sweep does not have."""
    with pytest.raises(OptionError, match="program_repeats"):
        replace(PROGRAMS, program_repeats=given)


def test_versions_run_over_libp2p_with_each_run_of_a_program() -> None:
    """In the same pair and alone as the program is, so that nodes that encrypt are compared alike; without programs, never."""
    options = replace(PROGRAMS, program_repeats="2")
    pairs = [pair for pair in plan(options) if any(run.transport == "libp2p" for run in pair.runs)]
    assert pairs == [pair for pair in plan(options) if any(run.version in ("mine", "theirs") for run in pair.runs)]
    for pair in pairs:
        own = [run for run in pair.runs if run.transport == "libp2p"]
        assert sorted(run.version for run in own) == ["baseline", "states"]
        assert {(run.kind, run.loop, run.seed) for run in own} == {("field", options.loop, pair.runs[0].seed)}
        groups = divide(options, list(zip(pair.runs, range(len(pair.runs)), strict=True)))
        together = [[run for run, _ in group] for group in groups if len(group) > 1]
        assert [{(run.version, run.transport) for run in group} for group in together] == [
            {(name, "tcp") for name in ("baseline", "states", "lower-bound")}
        ]
    alone = replace(OPTIONS, comparators=("lower-bound",), comparator_repeats=3)
    assert not any(run.transport == "libp2p" for pair in plan(alone) for run in pair.runs)


def test_whole_runs_are_of_the_corners_of_the_grid_in_each_session() -> None:
    """The check without time slices costs a part of the grid only."""
    options = replace(OPTIONS, hosts=(3, 4, 5), whole_repeats=1, control=False)
    runs = [run for pair in plan(options) for run in pair.runs if run.kind == "whole" and run.session == 2]
    assert sorted({(run.hosts, run.messages) for run in runs}) == [(3, 1), (3, 2), (5, 1), (5, 2)]
    assert len(runs) == 4 * 2


def test_sessions_draw_layouts_of_their_own_and_always_the_same() -> None:
    """Hash seed, order of imports and size of the environment differ from session to session, not from start to start."""
    drawn = [Layout.draw(1, session) for session in range(1, 11)]
    assert drawn == [Layout.draw(1, session) for session in range(1, 11)]
    for name in ("hash_seed", "import_order", "padding_bytes"):
        assert len({getattr(layout, name) for layout in drawn}) == 10
    assert Layout.draw(2, 1) != drawn[0]
    assert drawn[0].environment().keys() == {"PYTHONHASHSEED", PADDING}


def test_order_holds_each_module_once() -> None:
    """Another session imports the same modules in another order."""
    one, other = (Layout.draw(1, session).order(["a", "b", "c", "d", "e", "f"]) for session in (1, 2))
    assert sorted(one) == sorted(other) == ["a", "b", "c", "d", "e", "f"]
    assert one != other


def test_listed_modules_are_those_that_a_worker_imports() -> None:
    """No run is given modules that it would not load, which would cost it memory."""
    listed = list_modules(packages_folder(), PACKAGES, ["baseline", "states", "lower-bound"])
    code = "import sys, pubsub_sim.bench.worker, {}; print(*(n for n in sys.modules if n.split('.')[0] in {}))"
    for version, driver in (("lower-bound", "sys"), ("states", "pubsub_sim.drivers.states")):
        words = [sys.executable, "-c", code.format(driver, PACKAGES)]
        loaded = subprocess.run(words, capture_output=True, text=True, check=True, cwd=packages_folder()).stdout.split()
        assert set(listed[version]) == set(loaded)
    assert set(listed["lower-bound"]) < set(listed["states"])


@pytest.mark.parametrize("session", range(1, 5))
def test_modules_can_be_imported_in_any_order(session: int) -> None:
    """A worker starts well whichever of its modules comes first."""
    modules = list_modules(packages_folder(), PACKAGES, ["states"])["states"]
    layout = Layout.draw(3, session)
    answer = run_worker(
        SPEC.replace("baseline", "states"),
        environment=layout.environment(),
        limit_s=30,
        imports=layout.order(modules),
    )
    assert (answer.outcome, answer.error) == ("ok", "")


def test_modules_are_imported_in_the_order_given() -> None:
    """The start imports what it is told before it imports the worker."""
    code = "import sys; sys.argv[1:] = []; from pubsub_sim.bench import start; start.main([]); print(*sys.modules, file=sys.stderr)"
    order = ["pubsub_sim.errors", "pubsub_sim.places"]
    for names in (order, order[::-1]):
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=f"{json.dumps(names)}\n{SPEC}",
            capture_output=True,
            text=True,
            check=True,
            cwd=packages_folder(),
        )
        loaded = done.stderr.splitlines()[-1].split()
        where = [loaded.index(name) for name in names]
        assert where == sorted(where)
        assert json.loads(done.stdout)["outcome"] == "ok"


def test_interleaved_runs_have_an_order_each() -> None:
    """Two versions, each with the modules that it needs."""
    listed = list_modules(packages_folder(), PACKAGES, ["baseline", "states"])
    layout = Layout.draw(1, 1)
    specs = [(SPEC, 30.0), (SPEC.replace("baseline", "states"), 30.0)]
    orders = [layout.order(listed[name]) for name in ("baseline", "states")]
    answers = run_interleaved(specs, environment=layout.environment(), imports=orders)
    assert [answer.outcome for answer in answers] == ["ok", "ok"]


def test_sweep_stores_sessions_and_goes_on_with_them(tmp_path: Path) -> None:
    """The session is a column, its layout is in the footer, and a sweep that is given one more measures only that."""
    options = SweepOptions(
        hosts=(2,), messages=(1,), repeats=1, sessions=2, out=str(tmp_path / "sweep"), share=True, progress="none"
    )
    assert sweep(options).measured == 4
    store = Store(options.folder)
    assert {path.parent for path in store.files()} == {options.folder}
    runs = wide(store.load())
    assert sorted(runs["session"]) == [1, 1, 2, 2]
    layouts = store.provenance()[LAYOUT]
    assert [Layout(**facts) for facts in layouts] == sorted(
        (Layout.draw(1, session) for session in (1, 2)), key=lambda layout: json.dumps(layout.facts(), sort_keys=True)
    )
    more = sweep(replace(options, sessions=3))
    assert (more.measured, more.kept) == (2, 4)
    assert list(more.sessions_s) == [3]
    packed = store.pack(tmp_path / "packed")
    assert sorted(wide(Store(tmp_path / "packed").load())["session"]) == [1, 1, 2, 2, 3, 3]
    assert len(packed) == 2
    assert PADDING not in os.environ


def test_a_worker_imports_libp2p_only_for_hosts_that_speak_it() -> None:
    """It would be a tenth of what every worker imports."""
    code = "import sys, pubsub_sim.bench.worker; print(*(name for name in sys.modules if name.startswith('pubsub_sim.libp2p')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
