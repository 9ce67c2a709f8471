"""The figures: what they draw, and that the same data give the same bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from pubsub_sim.report import control, figures, published, run_figures, scaling
from pubsub_sim.report.display import Picture, Prose
from pubsub_sim.report.options import reference_file
from pubsub_sim.report.sweep import Sweep
from tests.report.runs import write_sweep

pytestmark = pytest.mark.xdist_group("figures")

REFERENCE = reference_file("published-2024")
ALL: dict[str, Callable[[Sweep], Picture | Prose]] = {
    "duration-net": lambda sweep: figures.draw_medians(sweep, "duration-net"),
    "nine-charts": figures.draw_nine_charts,
    "more-medians": figures.draw_other_charts,
    "runs-cpu": lambda sweep: run_figures.draw_runs(sweep, "cpu"),
    "scaling": scaling.draw_fits,
    "phases": run_figures.draw_phases,
    "ratio": run_figures.draw_ratio_map,
    "control": control.draw_ratios,
    "published": lambda sweep: published.draw_ratios(sweep, REFERENCE),
}
OF_RATIOS = {"ratio", "control", "published"}
"""Figures that compare versions, so that one version alone has none."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Two versions, two by two cells, three repeats."""
    return Sweep.load(write_sweep(tmp_path_factory.mktemp("whole")))


@pytest.fixture(scope="module")
def drawn(whole: Sweep) -> dict[str, Picture | Prose]:
    """Every figure of the whole sweep."""
    return {name: draw(whole) for name, draw in ALL.items()}


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """One cell in which nothing ended well."""
    failing = [(version, 5, 20, 1) for version in ("baseline", "states")]
    folder = tmp_path_factory.mktemp("failed")
    return Sweep.load(write_sweep(folder, hosts=(5,), messages=(20,), repeats=1, control=False, failing=failing))


@pytest.fixture(scope="module")
def one_version(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return Sweep.load(write_sweep(tmp_path_factory.mktemp("one-version"), costs={"baseline": 1.0}))


@pytest.fixture(scope="module")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return Sweep.load(write_sweep(tmp_path_factory.mktemp("one-run"), hosts=(5,), messages=(20,), repeats=1))


@pytest.fixture(scope="module")
def five_hosts(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    folder = tmp_path_factory.mktemp("five-hosts")
    return Sweep.load(write_sweep(folder, hosts=(2, 3, 5, 8, 13), messages=(1, 10_000), repeats=1))


@pytest.fixture(scope="module")
def holes(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    folder = tmp_path_factory.mktemp("holes")
    return Sweep.load(write_sweep(folder, without=[("states", 10, 60)], failing=[("baseline", 5, 20, 1)]))


@pytest.mark.parametrize("name", ALL)
def test_figure_is_named_captioned_and_whole(drawn: dict[str, Picture | Prose], name: str) -> None:
    """Each figure is well-formed SVG of its own name, with a caption and without a date or a font to be found."""
    shown = drawn[name]
    assert isinstance(shown, Picture)
    assert shown.name == name
    assert shown.caption
    assert ElementTree.fromstring(shown.svg).tag.endswith("svg")
    assert not re.search(r"<dc:date>|<text|font-family", shown.svg)


@pytest.mark.parametrize("name", ALL)
def test_figure_is_the_same_every_time(drawn: dict[str, Picture | Prose], whole: Sweep, name: str) -> None:
    """The same data give the same bytes, whatever style the notebook has set."""
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "svg.hashsalt": "other"}):
        assert ALL[name](whole) == drawn[name]


@pytest.mark.parametrize("name", ALL)
def test_figure_of_failures_is_a_sentence(failed: Sweep, name: str) -> None:
    """Where nothing ended well nothing is drawn, and it is said why."""
    assert isinstance(ALL[name](failed), Prose)


@pytest.mark.parametrize("name", sorted(set(ALL) - OF_RATIOS))
@pytest.mark.parametrize("odd", ["one_version", "one_run", "five_hosts", "holes"])
def test_figure_of_an_odd_sweep_is_drawn(request: pytest.FixtureRequest, odd: str, name: str) -> None:
    """One version, one run, many hosts or holes in the grid: there is a figure, without a warning."""
    shown = ALL[name](request.getfixturevalue(odd))
    one_cell = name == "scaling" and odd == "one_run"
    assert isinstance(shown, Prose if one_cell else Picture)


@pytest.mark.parametrize("name", sorted(OF_RATIOS))
def test_one_version_has_no_figure_of_ratios(one_version: Sweep, name: str) -> None:
    """Ratios need two versions."""
    assert isinstance(ALL[name](one_version), Prose)


def test_holes_in_the_grid_leave_the_figures_of_ratios(holes: Sweep) -> None:
    """What one version did not run is missing in the figure, and nothing else."""
    assert all(isinstance(ALL[name](holes), Picture) for name in OF_RATIOS)


def test_sweep_without_control_has_no_figure_of_one(tmp_path: Path) -> None:
    """Nothing is drawn that was not measured."""
    assert isinstance(control.draw_ratios(Sweep.load(write_sweep(tmp_path, control=False))), Prose)


def test_without_published_figures_nothing_is_drawn_beside(whole: Sweep) -> None:
    """No reference, no figure."""
    assert isinstance(published.draw_ratios(whole, None), Prose)


def test_sweep_of_other_hosts_has_nothing_published_beside_it(tmp_path: Path) -> None:
    """Published ratios are of their own numbers of hosts."""
    assert isinstance(published.draw_ratios(Sweep.load(write_sweep(tmp_path, hosts=(7,))), REFERENCE), Prose)


def test_nine_charts_are_nine_where_memory_was_traced(tmp_path: Path) -> None:
    """In the original's order, by its names; what a sweep did not measure is named in the caption instead."""
    sweep = Sweep.load(write_sweep(tmp_path, hosts=(5,), watched=True))
    assert [chart.file for chart in figures.list_charts(sweep)] == [
        "time",
        "go-created",
        "go-final",
        "mem-alloc",
        "mem-max",
        "mem-final",
        "mem-gc",
        "failures-states",
        "failures-baseline",
    ]
    shown = figures.draw_nine_charts(sweep)
    assert isinstance(shown, Picture)
    assert "did not measure" not in shown.caption


def test_nine_charts_say_what_was_not_measured(drawn: dict[str, Picture | Prose], whole: Sweep) -> None:
    """Five rows are left without traced memory, and neither caption nor table passes over the others."""
    assert len(figures.list_charts(whole)) == 5
    shown = drawn["nine-charts"]
    assert isinstance(shown, Picture)
    missing = "Allocated memory, Memory ceiling, Final memory and GCed memory"
    assert shown.caption.endswith(f"This sweep did not measure: {missing}.")
    assert [row[-1] for row in figures.tabulate_charts(whole).rows] == ["yes"] * 3 + ["not measured"] * 4 + ["yes"] * 2


def test_figure_says_which_hosts_it_leaves_out(tmp_path: Path) -> None:
    """More numbers of hosts than a page is wide: the ends and some between, the others by name."""
    sweep = Sweep.load(write_sweep(tmp_path, hosts=(2, 3, 4, 5, 6, 7), messages=(20,), repeats=1))
    for name in ("nine-charts", "runs-cpu"):
        shown = ALL[name](sweep)
        assert isinstance(shown, Picture)
        assert "Not drawn: 5 hosts." in shown.caption


def test_picture_brings_its_name_and_caption_along(drawn: dict[str, Picture | Prose]) -> None:
    """The exporters find the file name and the caption in the output's metadata."""
    shown = drawn["scaling"]
    assert isinstance(shown, Picture)
    data, metadata = shown._repr_mimebundle_()
    assert data["image/svg+xml"] == shown.svg
    assert metadata == {"filename": "scaling", "caption": shown.caption}
