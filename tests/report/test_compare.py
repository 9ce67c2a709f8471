"""Two sweeps beside each other."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from pubsub_sim.__main__ import main
from pubsub_sim.report.compare import compare, list_differences, write_text
from pubsub_sim.report.errors import NothingInCommonError
from pubsub_sim.report.sweep import Sweep
from pubsub_sim.results.intervals import difference_of_means, quotient_of_means
from tests.report.runs import write_sweep

pytestmark = pytest.mark.xdist_group("compare")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """`states` costs 20 % more in the first sweep and 32 % in the second, which has another cell and condition fewer."""
    root = tmp_path_factory.mktemp("compare")
    first = write_sweep(root / "first", sessions=4, repeats=2, control=False, beside=[{"sign": "none"}])
    costs = {"baseline": 1.0, "states": 1.32}
    second = write_sweep(root / "second", costs=costs, sessions=3, repeats=2, control=False, hosts=(5, 15))
    return first, second


def test_ratios_and_amounts_are_compared_where_both_have_them(folders: tuple[Path, Path]) -> None:
    """Cell by cell and over the cells that both have; amounts also by their difference."""
    found = compare(*map(Sweep.load, folders))
    whole = {entry.quantity: entry for entry in found if entry.cell is None}
    assert whole.keys() == {"duration-net", "cpu", "amount"}
    assert {entry.cell for entry in found if entry.quantity == "cpu"} == {None, (5, 20), (5, 60)}
    assert whole["cpu"].quotient.value == pytest.approx(1.1, rel=1e-6)
    amount = whole["amount"]
    assert amount.one.value == pytest.approx(5, rel=0.02)
    assert amount.quotient.value == pytest.approx(1.6, rel=0.02)
    assert amount.difference is not None
    assert amount.difference.value == pytest.approx(3, rel=0.03)
    assert amount.difference.low < amount.difference.value < amount.difference.high
    assert whole["cpu"].difference is None


def test_what_differs_between_the_sweeps_is_told(folders: tuple[Path, Path]) -> None:
    """Sessions, runs, cells and conditions here; what is the same is left out."""
    one, other = map(Sweep.load, folders)
    found = list_differences(one, other)
    assert found["sessions"] == ("4", "3")
    assert "sign=none" in found["conditions"][0]
    assert "processor" not in found
    assert list_differences(one, one) == {}


def test_command_prints_text_and_json(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """The same numbers in both forms; the status is 0."""
    names = [str(folder) for folder in folders]
    assert main(["compare", *names]) == 0
    text = capsys.readouterr().out
    for words in ("first and second: ", "second / first", "states, ratio, CPU time of rand msgs", "over sessions"):
        assert words in text
    assert main(["compare", *names, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["one"], found["other"]) == ("first", "second")
    mean = next(entry for entry in found["comparisons"] if entry["quantity"] == "cpu" and entry["hosts"] is None)
    assert mean["quotient"]["value"] == pytest.approx(1.1, rel=1e-4)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["one"], "the following arguments are required: other; --help lists the flags"),
        (["nowhere", "nothing"], "sweep: expected a sweep in"),
    ],
)
def test_errors_are_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing words and sweeps that are not there."""
    assert main(["compare", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_sweeps_without_a_cell_in_common_are_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """The sentence names both."""
    elsewhere = Sweep.load(write_sweep(tmp_path / "elsewhere", hosts=(7,)))
    with pytest.raises(NothingInCommonError, match="'first' and 'elsewhere' have no cell in common"):
        compare(Sweep.load(folders[0]), elsewhere)


def test_sweeps_of_one_session_are_compared_over_repeats(tmp_path: Path) -> None:
    """The text says what the interval covers."""
    one, other = (Sweep.load(write_sweep(tmp_path / name, control=False)) for name in ("a", "b"))
    assert "repeats of one session, which its interval covers alone" in write_text(one, other)
    entry = next(found for found in compare(one, other) if found.quantity == "cpu" and found.cell is None)
    assert entry.quotient.value == pytest.approx(1.0)
    assert entry.quotient.has_interval


def test_intervals_of_differences_and_quotients_hold_the_truth() -> None:
    """Of 1,000 simulated comparisons with unlike spreads about 95 in 100."""
    rng = np.random.default_rng(0)
    held = np.zeros(2)
    for _ in range(1000):
        one, other = rng.normal(10.0, 1.0, 8), rng.normal(16.0, 3.0, 12)
        for number, (found, truth) in enumerate(
            ((difference_of_means(one, other), 6.0), (quotient_of_means(one, other), 1.6))
        ):
            held[number] += found.low <= truth <= found.high
    assert (held >= 930).all()


def test_quotient_of_what_may_be_zero_has_no_interval() -> None:
    """Any quotient could be; and nothing is known of nothing."""
    assert not quotient_of_means([-1.0, 1.5], [3.0, 4.0]).has_interval
    assert math.isnan(quotient_of_means([], [1.0]).value)
    assert not difference_of_means([1.0], [2.0, 3.0]).has_interval
