"""The figures: what they draw, and that the same data give the same bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from pubsub_sim.report import figures, nine_charts, phase_figure, ratio_figure
from pubsub_sim.report.show import Picture, Prose
from pubsub_sim.report.sweep import Sweep
from tests.report.runs import write_sweep

ALL: dict[str, Callable[[Sweep], Picture | Prose]] = {
    "duration": lambda sweep: figures.lines(sweep, "duration"),
    "duration-net": lambda sweep: figures.lines(sweep, "duration-net"),
    "cpu": lambda sweep: figures.lines(sweep, "cpu"),
    "memory": lambda sweep: figures.lines(sweep, "memory"),
    "nine-charts": nine_charts.medians,
    "phases": phase_figure.phases,
    "ratio": ratio_figure.ratio,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Two versions, two by two cells, three repeats."""
    return Sweep.load(write_sweep(tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize("name", ALL)
def test_figure_is_named_captioned_and_whole(whole: Sweep, name: str) -> None:
    """Each figure is well-formed SVG of its own name, with a caption and without a date or a font to be found."""
    shown = ALL[name](whole)
    assert isinstance(shown, Picture)
    assert shown.name == name
    assert shown.caption
    assert ElementTree.fromstring(shown.svg).tag.endswith("svg")
    assert not re.search(r"<dc:date>|<text|font-family", shown.svg)


@pytest.mark.parametrize("name", ALL)
def test_figure_is_the_same_every_time(whole: Sweep, name: str) -> None:
    """The same data give the same bytes, whatever style the notebook has set."""
    first = ALL[name](whole)
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "svg.hashsalt": "other"}):
        assert ALL[name](whole) == first


@pytest.mark.parametrize("name", ALL)
def test_figure_of_failures_is_a_sentence(tmp_path: Path, name: str) -> None:
    """Where nothing ended well nothing is drawn, and it is said why."""
    failing = [(version, 5, 20, 1) for version in ("baseline", "states")]
    folder = write_sweep(tmp_path, hosts=(5,), messages=(20,), repeats=1, control=False, failing=failing)
    assert isinstance(ALL[name](Sweep.load(folder)), Prose)


@pytest.mark.parametrize("name", set(ALL) - {"ratio"})
@pytest.mark.parametrize(
    "shape",
    [
        {"costs": {"baseline": 1.0}},
        {"hosts": (5,), "messages": (20,), "repeats": 1},
        {"hosts": (2, 3, 5, 8, 13), "messages": (1, 2, 100, 101, 10_000), "repeats": 1},
        {"without": [("states", 10, 60)], "failing": [("baseline", 5, 20, 1)]},
    ],
    ids=["one version", "one run", "five hosts", "holes"],
)
def test_figure_of_an_odd_sweep_is_drawn(tmp_path: Path, shape: dict[str, object], name: str) -> None:
    """One version, one run, many hosts or holes in the grid: there is a figure, without a warning."""
    assert isinstance(ALL[name](Sweep.load(write_sweep(tmp_path, **shape))), Picture)  # type: ignore[arg-type]


def test_one_version_has_no_map_of_ratios(tmp_path: Path) -> None:
    """Ratios need two versions."""
    assert isinstance(ratio_figure.ratio(Sweep.load(write_sweep(tmp_path, costs={"baseline": 1.0}))), Prose)


def test_picture_brings_its_name_and_caption_along(whole: Sweep) -> None:
    """The exporters find the file name and the caption in the output's metadata."""
    shown = ALL["cpu"](whole)
    assert isinstance(shown, Picture)
    data, metadata = shown._repr_mimebundle_()
    assert data["image/svg+xml"] == shown.svg
    assert metadata == {"filename": "cpu", "caption": shown.caption}
