"""The order of the runs."""

import itertools
from dataclasses import replace

from pubsub_sim.bench.grid import limit_of, plan, specification
from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.bench.spec import RunSpec
from pubsub_sim.results import RunParameters

OPTIONS = SweepOptions(hosts=(3, 4), messages=(1, 2), repeats=8, control=True)


def test_pair_holds_each_version_once_and_the_control() -> None:
    """A pair is one run of each version and a second one of the first version."""
    for pair in plan(OPTIONS):
        assert sorted((run.version, run.kind) for run in pair.runs) == [
            ("baseline", "control"),
            ("baseline", "timing"),
            ("states", "timing"),
        ]


def test_control_can_be_left_out() -> None:
    """Without the control a pair is one run of each version."""
    assert all(len(pair.runs) == 2 for pair in plan(replace(OPTIONS, control=False)))


def test_runs_of_a_pair_have_the_same_seed_and_repeats_have_others() -> None:
    """Both sides of a pair play the same scenario, and each repeat plays another one."""
    for pair in plan(OPTIONS):
        assert {run.seed for run in pair.runs} == {pair.runs[0].repeat}


def test_order_inside_pairs_and_of_cells_is_mixed() -> None:
    """Neither does a version always come first nor does the grid run in its own order."""
    pairs = plan(replace(OPTIONS, control=False))
    assert {pair.runs[0].version for pair in pairs} == {"baseline", "states"}
    cells = [(pair.runs[0].hosts, pair.runs[0].messages, pair.runs[0].repeat) for pair in pairs]
    assert cells != sorted(cells)


def test_every_cell_is_run_as_often_as_asked() -> None:
    """The plan is the whole grid, every run once."""
    runs = [run for pair in plan(OPTIONS) for run in pair.runs]
    assert len(runs) == len(set(runs)) == 2 * 2 * 8 * 3


def test_same_options_give_the_same_plan_and_another_seed_another() -> None:
    """The order is decided by the seed alone."""
    assert plan(OPTIONS) == plan(OPTIONS)
    cells = [
        [(run.hosts, run.messages) for pair in plan(replace(OPTIONS, seed=seed)) for run in pair.runs]
        for seed in (1, 2)
    ]
    assert cells[0] != cells[1]


def test_positions_count_through_the_sweep() -> None:
    """The first runs of the pairs have the positions that the pairs before them leave free."""
    assert [pair.first for pair in plan(OPTIONS)] == list(range(0, 96, 3))


def test_worker_is_asked_for_the_run_that_was_planned() -> None:
    """The specification for a worker has the values of the planned run."""
    run = plan(OPTIONS)[0].runs[0]
    spec = RunSpec.from_json(specification(run))
    assert (spec.version, spec.hosts, spec.messages, spec.seed) == (run.version, run.hosts, run.messages, run.seed)


def test_watched_runs_are_pairs_of_their_own_after_all_timing_runs() -> None:
    """Asking for memory, calls or lag changes nothing about the timing runs, and pairs the versions alike."""
    more = plan(replace(OPTIONS, memory_repeats=2, calls_repeats=1, lag_repeats=3))
    timed = plan(OPTIONS)
    assert more[: len(timed)] == timed
    kinds = [{run.kind for run in pair.runs} for pair in more[len(timed) :]]
    assert kinds == [{"memory"}] * 8 + [{"calls"}] * 4 + [{"lag"}] * 12
    assert all(sorted(run.version for run in pair.runs) == ["baseline", "states"] for pair in more[len(timed) :])


def test_comparators_run_beside_the_versions_in_the_corners() -> None:
    """Smallest and largest cell, both transports and loops, signed and not: everybody side by side, after all other runs."""
    more = plan(replace(OPTIONS, comparators=("lower-bound", "direct"), comparator_repeats=2))
    timed = plan(OPTIONS)
    assert more[: len(timed)] == timed
    pairs = more[len(timed) :]
    assert [pair.first for pair in pairs] == list(range(96, 96 + 4 * len(pairs), 4))
    versions = ["baseline", "direct", "lower-bound", "states"]
    assert all(sorted(run.version for run in pair.runs) == versions for pair in pairs)
    found = [place(run) for pair in pairs for run in {place(run): run for run in pair.runs}.values()]
    corners = ((3, 1), (4, 2))
    ways = itertools.product(("memory", "tcp"), ("uvloop", "asyncio"), ("strict", "none"), (1, 2))
    assert sorted(found) == sorted((*corner, *way) for corner, way in itertools.product(corners, ways))


def test_program_of_others_runs_over_sockets_only() -> None:
    """Its transport and loop are its own, so it is run once per signing: over TCP, beside everybody on the sweep's loop."""
    pairs = plan(
        replace(
            OPTIONS, comparators=("lower-bound", "mine"), comparator_repeats=1, programs="mine=mine.py", loop="asyncio"
        )
    )
    beside = [pair for pair in pairs if any(run.version == "mine" for run in pair.runs)]
    assert {place(run)[2:5] for pair in beside for run in pair.runs if run.transport != "libp2p"} == {
        ("tcp", "asyncio", "strict"),
        ("tcp", "asyncio", "none"),
    }
    assert len(beside) == 2 * 2
    assert all({run.version for run in pair.runs} == {"baseline", "states", "lower-bound", "mine"} for pair in beside)


def place(run: RunParameters) -> tuple[int, int, str, str, str, int]:
    return (run.hosts, run.messages, run.transport, run.loop, run.sign, run.repeat)


def test_watched_runs_have_a_limit_of_their_own() -> None:
    """What slows a run down must not make it fail at the limit of the timing runs."""
    options = replace(OPTIONS, memory_repeats=1, comparators="lower-bound", limit_s=3, slow_limit_s=99)
    limits = {(run.kind, limit_of(options, run)) for pair in plan(options) for run in pair.runs}
    assert limits == {("timing", 3.0), ("control", 3.0), ("memory", 99.0), ("field", 99.0)}
