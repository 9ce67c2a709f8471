"""The page of a timeline holds what the record holds, runs nothing that came from it, and needs nothing but itself."""

from __future__ import annotations

import sys
from collections import Counter
from html.parser import HTMLParser
from itertools import count, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncmachine import Machine, pipes
from asyncmachine.export.errors import MissingExtraError
from asyncmachine.export.timeline import UnknownFlowError, message_figure, message_path, timeline, timeline_figure
from asyncmachine.export.timeline.columns import packed, unpacked
from asyncmachine.export.timeline.data import timeline_data
from asyncmachine.export.timeline.events import Kind
from asyncmachine.export.timeline.figure import _bars, join_positions
from asyncmachine.export.timeline.lanes import MANY
from asyncmachine.record import Record, Recorder
from tests.asyncmachine.export.timelines import EVIL, framed, opened, play

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asyncmachine.record import RecordedTransition


MANY_LANES = 80


@pytest.fixture(scope="module")
def lamp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lamp") / "lamp.sqlite"
    play(path)
    return path


@pytest.fixture
def lamp(lamp_path: Path) -> Iterator[Record]:
    with Record.open(lamp_path) as record:
        yield record


@pytest.fixture(params=["lamp", "scripted"])
def any_record(request: pytest.FixtureRequest) -> Record:
    """A record of the little program, and one of a run on a virtual clock."""
    found: Record = request.getfixturevalue({"lamp": "lamp", "scripted": "record"}[request.param])
    return found


def test_the_page_holds_every_activation_with_its_exact_times(any_record: Record) -> None:
    """Machine, state, tick, begin and end of each: nothing is lost, and nothing is there twice."""
    page = opened(timeline(any_record).html)
    times = page.columns["event_time"]
    last = page.header["tracks"][0]["last"]
    found: Counter[tuple[object, ...]] = Counter()
    for lane in page.lanes("state"):
        machine = page.header["machines"][page.header["lanes"][lane][3]]["id"]
        for begin, end, tick in page.bars(lane):
            found[machine, page.label(lane), tick, times[begin], None if end == last else times[end]] += 1
    names = {machine.number: machine.id for machine in any_record.machines}
    assert found == Counter((names[a.machine], a.state, a.tick, a.start_ns, a.end_ns) for a in any_record.activations())
    assert found


def test_the_page_holds_every_transition_and_its_cause(any_record: Record) -> None:
    """A mark in the lane of its machine, with what it did and the transition it was made in."""
    page = opened(timeline(any_record).html)
    c, header = page.columns, page.header
    found = {}
    for lane in page.lanes("machine"):
        for event in page.marks(lane):
            tx = c["event_ref"][event]
            cause = c["event_cause"][event]
            change = header["changes"][c["tx_change"][tx]]
            by = c["tx_seq"][c["event_ref"][cause]] if cause >= 0 else None
            found[c["tx_seq"][tx]] = (page.label(lane), c["event_time"][event], change["label"], change["accepted"], by)
    names = {machine.number: machine.id for machine in any_record.machines}
    wanted = {
        t.seq: (names[t.machine], t.time_ns, t.change.label, t.change.accepted, _cause(any_record.why(t.seq)))
        for t in any_record.transitions()
    }
    assert found == wanted
    assert len(wanted) == sum(kind == Kind.TRANSITION for kind in c["event_kind"])


def _cause(chain: list[RecordedTransition]) -> int | None:
    return chain[1].seq if len(chain) > 1 else None


def test_the_page_holds_steps_arguments_handlers_and_log_lines(lamp: Record) -> None:
    """What the level `full` records of a transition can be read without a kernel."""
    page = opened(timeline(lamp).html)
    c, header = page.columns, page.header
    operations, handlers = lamp.operations(), lamp.handlers()
    for tx, seq in enumerate(c["tx_seq"]):
        steps = header["steps"][c["tx_steps"][tx]] if c["tx_steps"][tx] >= 0 else []
        assert steps == [list(step) for step in operations[seq].steps]
        args = dict(header["args"][c["tx_args"][tx]]) if c["tx_args"][tx] >= 0 else {}
        assert args == dict(operations[seq].args)
        calls = range(c["handler_from"][tx], c["handler_from"][tx + 1])
        durations = [call.end_ns - call.start_ns for call in handlers.get(seq, ())]
        assert [c["handler_ns"][call] for call in calls] == durations
    shown = [header["texts"][text].removeprefix("before it: ") for text in c["log_text"]]
    last = lamp.last_seq
    assert Counter(shown) == Counter(line.text for line in lamp.logs() if line.seq <= last)


def test_spans_and_points_have_lanes_of_their_own(lamp: Record) -> None:
    """Siblings of one name share a lane; the points of a span are marks in it, and in a lane for each name."""
    page = opened(timeline(lamp).html)
    times = page.columns["event_time"]
    bars = Counter(
        (page.header["spans"][info]["name"], times[begin], times[end])
        for lane in page.lanes("span")
        for begin, end, info in page.bars(lane)
    )
    assert bars == Counter((span.name, span.start_ns, span.end_ns) for span in lamp.spans())
    points = Counter((page.label(lane), times[event]) for lane in page.lanes("points") for event in page.marks(lane))
    assert points == Counter((point.name, point.time_ns) for point in lamp.points())
    (rounds,) = (lane for lane in page.lanes("span") if page.label(lane) == "round")
    assert len(page.bars(rounds)) == 3


def test_bars_of_a_lane_do_not_overlap_and_are_in_order(any_record: Record) -> None:
    """Searching a lane by bisection depends on it."""
    page = opened(timeline(any_record).html)
    for lane in range(len(page.header["lanes"])):
        for (_, end, _), (begin, _, _) in pairwise(page.bars(lane)):
            assert end <= begin
        assert page.marks(lane) == sorted(page.marks(lane))


def test_many_machines_of_one_parent_share_a_lane(tmp_path: Path) -> None:
    """It opens into theirs, and has all their marks while it is closed."""
    play(tmp_path / "run.sqlite", "changes", children=MANY + 1)
    with Record.open(tmp_path / "run.sqlite") as record:
        page = opened(timeline(record).html)
    (together,) = page.lanes("machines")
    own = [number for number, lane in enumerate(page.header["lanes"]) if lane[0] == together]
    assert len(own) == MANY + 1
    assert sorted(event for lane in own for event in page.marks(lane)) == page.marks(together)


def test_names_and_texts_of_a_record_run_nothing(tmp_path: Path) -> None:
    """A machine, an argument, a point or a title with markup in it stays text, in the page and in the iframe around it."""
    play(tmp_path / "run.sqlite", name=EVIL)
    with Record.open(tmp_path / "run.sqlite") as record:
        shown = [
            timeline(record, titles=[EVIL], title=EVIL),
            message_path(record, flow="message 0", title=EVIL),
            timeline(record, record, titles=[EVIL, EVIL]),
        ]
        figures = [timeline_figure(record, titles=[EVIL]), message_figure(record, flow="message 0")]
    for one in shown:
        bundle = one._repr_mimebundle_()
        assert framed(bundle) == one.html
        assert _scripts(one.html) == 3
        assert _scripts(bundle["text/html"]) == 0
    assert opened(shown[0].html).header["machines"][0]["id"] == EVIL
    for figure in figures:
        assert "<script" not in figure.svg()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


def _scripts(page: str) -> int:
    return sum(tag == "script" for tag, _ in _tags(page))


def _tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(page)
    return parser.found


def test_the_page_loads_nothing(lamp: Record) -> None:
    """No element has an address, and the browser is told to refuse whatever a script might ask for."""
    tags = _tags(timeline(lamp).html)
    assert not [tag for tag, attributes in tags if attributes.keys() & {"src", "href", "srcset", "data", "action"}]
    (policy,) = (a["content"] for tag, a in tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_the_same_record_gives_the_same_bytes(lamp: Record) -> None:
    """Bokeh numbers its models anew, and nothing is left to chance."""
    assert timeline(lamp)._repr_mimebundle_() == timeline(lamp)._repr_mimebundle_()
    assert timeline_figure(lamp).svg() == timeline_figure(lamp).svg()
    assert message_figure(lamp, flow="message 1").svg() == message_figure(lamp, flow="message 1").svg()


def test_the_picture_names_every_lane_that_is_open(any_record: Record) -> None:
    """The still picture has the lanes that the page shows at first, in their order."""
    data = timeline_data([any_record], ["run"])
    seen: set[int] = set()
    labels = []
    for number, (parent, _, label, _, _, is_open) in enumerate(data.header["lanes"]):
        if parent < 0 or parent in seen:
            labels.append(label)
            if is_open:
                seen.add(number)
    (axes,) = timeline_figure(any_record).figure.axes
    assert [text.get_text() for text in axes.texts] == labels


def test_the_path_of_a_message_has_its_points_and_links(lamp: Record) -> None:
    """Only that flow's points are there, and each knows the one it followed."""
    page = opened(message_path(lamp, flow="message 1").html)
    c = page.columns
    sent, received = c["point_event"]
    assert [page.header["names"][name] for name in c["point_name"]] == ["sent", "received"]
    assert c["event_cause"][received] == sent
    assert [page.label(lane) for lane in range(len(page.header["lanes"]))] == ["test"]


def test_a_flow_that_is_not_there_is_refused_with_those_that_are(lamp: Record) -> None:
    """One sentence, with the flow and the first known ones."""
    with pytest.raises(
        UnknownFlowError, match="no point of the flow 'mesage': its flows are 'message 0', 'message 1'"
    ) as caught:
        message_path(lamp, flow="mesage")
    assert caught.value.known == ("message 0", "message 1", "message 2")


def test_order_gives_each_event_a_place_of_its_own(record: Record) -> None:
    """Also where a virtual clock stands; the order is that of the record, and time never runs back."""
    page = opened(timeline(record).html)
    places = page.columns["event_place"]
    assert all(one < other for one, other in pairwise(places))
    assert page.columns["event_time"] == sorted(page.columns["event_time"])
    seqs = [page.columns["tx_seq"][page.columns["event_ref"][event]] for event in page.columns["tx_event"]]
    assert seqs == sorted(seqs)


@pytest.fixture(scope="module")
def odd_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record at level "ops" on a loop's own clock, with a cause that was not recorded and more machines than a picture has rows."""
    moments = iter(range(0, 10**9, 10**6))
    path = tmp_path_factory.mktemp("odd") / "odd.sqlite"
    with Recorder(path, "ops", loop_time_ns=lambda: next(moments)) as recorder:
        with recorder.span("outer") as outer, outer.span("inner") as inner:
            left, right = inner.span("left"), inner.span("right")
            right.point("received", flow="message", link=left.point("sent", flow="message"))
        outsider = Machine({"A": {}}, id="outsider")
        for number in range(MANY_LANES):
            machine = Machine({"A": {}}, id=f"m{number}", tracers=[recorder])
            machine.add("A")
        pipes.add(outsider, machine, "A")
        outsider.add("A")
    return path


def test_a_cause_that_is_not_in_the_record_is_named(odd_path: Path) -> None:
    """By the id of its transition; a record of level "ops" tells no steps."""
    with Record.open(odd_path) as odd:
        page = opened(timeline(odd).html)
    assert "outsider-2" in page.header["texts"]
    assert set(page.columns["tx_steps"]) == {-1}


def test_a_picture_says_what_it_leaves_out(odd_path: Path) -> None:
    """How many lanes are not shown; on the axis of order, it says the time where that moves on."""
    with Record.open(odd_path) as odd:
        picture = timeline_figure(odd, axis="order")
    (axes,) = picture.figure.axes
    assert len(axes.texts) < MANY_LANES
    assert axes.get_xlabel().endswith(" more lanes are not shown")
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[0] == "0 s"
    assert labels == sorted(labels, key=lambda label: float(label.split()[0]))
    shown, about = picture._repr_mimebundle_()
    assert shown == {"image/svg+xml": picture.svg(), "text/plain": picture.caption}
    assert about == {"filename": "timeline", "caption": picture.caption}


def test_bars_narrower_than_a_pixel_are_drawn_as_one(tmp_path: Path) -> None:
    """Those of a state that comes and goes within nanoseconds; where a pixel is short enough, each is drawn."""
    now = count(0, 1000)
    with Recorder(tmp_path / "run.sqlite", loop_time_ns=lambda: next(now)) as recorder:
        machine = Machine({"A": {}}, id="m", tracers=[recorder])
        for _ in range(10):
            machine.toggle("A")
    with Record.open(tmp_path / "run.sqlite") as record:
        data = timeline_data([record], ["run"])
    (lane,) = [number for number, lane in enumerate(data.header["lanes"]) if lane[1] == "state"]
    xs = [time / 1e9 for time in data.columns["event_time"]]
    assert [len(_bars(data, xs, lane, pixel)) for pixel in (1.0, 1e-9)] == [1, 5]


def test_the_places_of_a_message_are_those_in_which_its_points_differ(odd_path: Path) -> None:
    """The spans around all of them have no lanes."""
    with Record.open(odd_path) as odd:
        page = opened(message_path(odd, flow="message").html)
    assert [lane[2] for lane in page.header["lanes"]] == ["left", "right"]


def test_a_record_of_no_machine_has_a_page(tmp_path: Path) -> None:
    """With its spans alone."""
    with Recorder(tmp_path / "run.sqlite") as recorder, recorder.span("test"):
        pass
    with Record.open(tmp_path / "run.sqlite") as record:
        page = opened(timeline(record).html)
    assert [lane[2] for lane in page.header["lanes"]] == ["test"]


def test_two_records_share_the_axis_of_order(record: Record, scripted_path: Path) -> None:
    """Equal instants of both stand in the same stretch, and the records keep apart otherwise."""
    with Record.open(scripted_path) as other:
        page = opened(timeline(record, other, titles=["one", "two"]).html)
    one, two = page.header["tracks"]
    places, times = page.columns["event_place"], page.columns["event_time"]
    assert places[one["first"] : one["last"] + 1] == places[two["first"] : two["last"] + 1]
    assert times[one["first"] : one["last"] + 1] == times[two["first"] : two["last"] + 1]
    tops = [lane[2] for lane in page.header["lanes"] if lane[0] < 0]
    assert tops == ["one", "two"]


def test_titles_have_to_be_as_many_as_records(lamp: Record) -> None:
    """A title too many is a mistake."""
    with pytest.raises(ValueError, match="titles: expected one for each of 1 records, got 2"):
        timeline(lamp, titles=["one", "two"])


def test_a_page_is_saved_whole(lamp: Record, tmp_path: Path) -> None:
    """The file is the page, and nothing else is left in the folder."""
    shown = timeline(lamp)
    assert shown.save(tmp_path / "run.html") == len(shown.html.encode())
    assert (tmp_path / "run.html").read_text() == shown.html
    assert [path.name for path in tmp_path.iterdir()] == ["run.html"]


@pytest.mark.parametrize(("package", "call"), [("bokeh", timeline), ("matplotlib", timeline_figure)])
def test_a_missing_package_is_one_sentence(
    lamp: Record, monkeypatch: pytest.MonkeyPatch, package: str, call: type[object]
) -> None:
    """It says what to install."""
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'asyncmachine\[timeline\]'"):
        call(lamp)


@given(st.dictionaries(st.text(max_size=3), st.lists(st.integers(-(2**51), 2**51)), max_size=3))
def test_columns_come_back_as_they_were(columns: dict[str, list[int]]) -> None:
    """Whatever whole numbers they hold."""
    assert unpacked(packed({"name": "é</script>"}, columns)) == ({"name": "é</script>"}, columns)


def test_positions_close_to_each_other_are_drawn_as_one() -> None:
    """A still picture joins what is nearer than it can show, and keeps what is apart."""
    assert join_positions([0.0, 0.1, 0.2, 5.0], gap=0.5) == [(0.0, 0.2), (5.0, 0.0)]
