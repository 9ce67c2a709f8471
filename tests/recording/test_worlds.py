"""A recorder bound to a world: the tree of spans, what is in it, and how messages are followed from host to host."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from asyncmachine.record import Record
from pubsub_sim import HostOptions, World
from pubsub_sim.ids import to_base58
from pubsub_sim.protocol.validation import Verdict
from pubsub_sim.scenarios.simple_discovery import PHASES
from tests.recording.runs import Tree, played, record_of, record_of_script

HOSTS = [f"host:{number}" for number in range(3)]


def test_the_tree_is_that_of_the_original(version: str, tmp_path: Path) -> None:
    """Test case with its phases beside hosts with their pubsub and topics; both versions have the same above the machines."""
    with record_of(tmp_path / "run.sqlite", version=version) as record:
        tree = Tree(record)
        paths = set(tree.paths)
        assert [path[2] for path in tree.paths if path[:2] == ("psmon", "testcase") and len(path) == 3] == list(PHASES)
        for host in HOSTS:
            assert ("psmon", host, "pubsub", "topic", "topic:foobar") in paths
        assert {path for path in paths if path[-1] != "loop"} == {
            ("psmon",),
            ("psmon", "testcase"),
            *(("psmon", "testcase", phase) for phase in PHASES),
            *(("psmon", host) for host in HOSTS),
            *(("psmon", host, "pubsub") for host in HOSTS),
            *(("psmon", host, "pubsub", "topic") for host in HOSTS),
            *(("psmon", host, "pubsub", "topic", "topic:foobar") for host in HOSTS),
        }
        assert all(span.end_ns is not None for span in record.spans())
        for number, host in enumerate(HOSTS):
            (span,) = tree.find("psmon", host)
            assert span.attributes["host"] == number
            assert str(span.attributes["host_id"]).startswith("12D3KooW")


def test_machines_stand_under_their_host(tmp_path: Path) -> None:
    """The host's machine under the host's span, the discovery machine and its flows below; all of them have ended."""
    with record_of(tmp_path / "run.sqlite", version="states") as record:
        tree = Tree(record)
        ids = {machine.number: machine.id for machine in record.machines}
        tops = {machine.id: tree.path(machine.span) for machine in record.machines if machine.span is not None}
        assert tops == {f"ps-{number}": ("psmon", f"host:{number}") for number in range(3)}
        parents = {machine.id: ids[machine.parent] for machine in record.machines if machine.parent is not None}
        assert parents["ps-1-disc"] == "ps-1"
        assert {parents[name] for name in parents if "-disc-bf-" in name} <= {f"ps-{n}-disc" for n in range(3)}
        assert all(machine.end_ns is not None for machine in record.machines)
        assert record.last_seq > 200


def test_of_a_loop_its_operations_are_recorded(tmp_path: Path) -> None:
    """A version without machines leaves what its loop takes, from level "ops" on."""
    with record_of(tmp_path / "ops.sqlite", version="baseline", level="ops") as record:
        tree = Tree(record)
        operations = tree.named("operation")
        assert record.machines == ()
        assert {tree.path(point.span)[2] for point in operations} == {"loop"}
        assert {"AddSubscription", "PeersPending"} <= {point.attributes["operation"] for point in operations}
    with record_of(tmp_path / "changes.sqlite", version="baseline", level="changes") as record:
        assert Tree(record).named("operation") == []


def test_a_version_that_cannot_be_followed_is_recorded_all_the_same(tmp_path: Path) -> None:
    """What its hosts decide needs no help of the version."""
    with record_of(tmp_path / "run.sqlite", version="direct") as record:
        assert len(Tree(record).named("deliver_msg")) == 33


def test_a_message_is_followed_from_host_to_host(version: str, tmp_path: Path) -> None:
    """Publish, validate, deliver at its author; elsewhere validate follows the sender's delivery, and a duplicate its sender's."""
    with record_of(tmp_path / "run.sqlite", version=version) as record:
        tree = Tree(record)
        published = tree.named("publish_msg")
        assert len(published) == 11
        for first in published:
            flow = [point for point in tree.points.values() if point.flow == first.flow]
            author = tree.host(first)
            assert {point.attributes["msg_id"] for point in flow} == {first.flow}
            assert tree.path(first.span)[-1] == "topic:foobar"
            assert first.link is None
            for point in flow:
                here, sender = tree.host(point), f"host:{point.attributes.get('peer')}"
                if point.name == "validate_msg":
                    expected = (here, "publish_msg") if here == author else (sender, "deliver_msg")
                elif point.name == "deliver_msg":
                    expected = (here, "validate_msg")
                elif point.name == "duplicate_msg":
                    expected = (sender, "deliver_msg")
                else:
                    continue
                assert tree.followed(point) == expected
            assert {tree.path(point.span)[-1] for point in flow} == {"topic:foobar"}
            names = [point.name for point in flow]
            assert [names.count(name) for name in ("validate_msg", "deliver_msg", "duplicate_msg")] == [3, 3, 2]


def test_an_unsigned_message_is_followed_too(version: str, tmp_path: Path) -> None:
    """Without signatures nothing is validated, and a delivery follows its sender's."""
    with record_of(tmp_path / "run.sqlite", version=version, sign="none") as record:
        tree = Tree(record)
        away = [p for p in tree.named("deliver_msg") if tree.followed(p) not in ((tree.host(p), "validate_msg"), None)]
        assert len(away) == 22
        assert {tree.followed(p) for p in away} <= {(host, "deliver_msg") for host in HOSTS}


def refuse(peer: bytes, message: object) -> Verdict:
    return Verdict.REJECT


async def publish_to_a_host_that_refuses(world: World) -> None:
    topics = [await pubsub.join("t") for pubsub in world.pubsubs]
    subscriptions = [await topic.subscribe() for topic in topics]
    await world.pubsubs[1].register_validator("t", refuse)
    await world.connect_all()
    await world.settle()
    await topics[0].publish(b"no")
    await world.settle()
    assert [subscription.pending for subscription in subscriptions] == [1, 0]


def test_a_refusal_tells_message_peer_and_reason(version: str, tmp_path: Path) -> None:
    """Its id is computed, and it follows the validation it ended."""
    script = publish_to_a_host_that_refuses
    with record_of_script(tmp_path / "run.sqlite", script, hosts=2, version=version, discovery=False) as record:
        tree = Tree(record)
        (refused,) = tree.named("reject_msg")
        (published,) = tree.named("publish_msg")
        assert refused.flow == refused.attributes["msg_id"] == published.flow
        assert refused.attributes["reason"] == "validation failed"
        assert refused.attributes["peer"] == 0
        assert tree.followed(refused) == ("host:1", "validate_msg")


@pytest.mark.parametrize("is_usable", [True, False])
def test_the_id_of_a_refused_message_is_the_hosts_own(is_usable: bool, version: str, tmp_path: Path) -> None:
    """A host with message ids of its own is asked; if it knows none, the refusal belongs to no message, and the run goes on."""
    is_asked_for_a_refused_one = False

    def own_id(message: Any) -> bytes:
        if is_asked_for_a_refused_one and not is_usable:
            raise ValueError("no id")
        return b"id of " + bytes(message.data)

    def refuse_later(peer: bytes, message: object) -> Verdict:
        nonlocal is_asked_for_a_refused_one
        is_asked_for_a_refused_one = True
        return Verdict.REJECT

    async def script(world: World) -> None:
        topics = [await pubsub.join("t") for pubsub in world.pubsubs]
        for topic in topics:
            await topic.subscribe()
        await world.pubsubs[1].register_validator("t", refuse_later)
        await world.connect_all()
        await world.settle()
        await topics[0].publish(b"no")
        await world.settle()

    world = {"hosts": 2, "version": version, "discovery": False, "options": HostOptions(message_id=own_id)}
    with record_of_script(tmp_path / "run.sqlite", script, **world) as record:
        (refused,) = Tree(record).named("reject_msg")
        assert b64decode(refused.flow) == (b"id of no" if is_usable else b"")


def test_peers_are_told_by_number_and_id(version: str, tmp_path: Path) -> None:
    """`peer` is the number of the host, `peer_id` the usual text of its id."""
    with record_of(tmp_path / "run.sqlite", version=version) as record:
        tree = Tree(record)
        ids = {
            span.attributes["host"]: span.attributes["host_id"] for host in HOSTS for span in tree.find("psmon", host)
        }
        told = [point.attributes for point in tree.points.values() if "peer_id" in point.attributes]
        assert {facts["peer_id"] for facts in told} == set(ids.values())
        assert all(ids[facts["peer"]] == facts["peer_id"] for facts in told)


def test_levels_decide_what_is_recorded(version: str, tmp_path: Path) -> None:
    """At "changes" peers, meshes, publishes and what went wrong; at "ops" every message and RPC; at "full" their contents."""
    names = {}
    for level in ("changes", "ops", "full"):
        with record_of(tmp_path / f"{level}.sqlite", version=version, router="gossipsub", level=level) as record:
            tree = Tree(record)
            names[level] = {point.name for point in tree.points.values()}
            contents = [p.attributes["rpc"] for p in tree.named("send_rpc") if "rpc" in p.attributes]
            assert any("message b'first message'" in words for words in contents) == (level == "full")
    assert names["changes"] == {"add_peer", "remove_peer", "graft", "publish_msg"}
    assert names["ops"] - names["changes"] - {"operation"} == {
        "validate_msg", "deliver_msg", "duplicate_msg", "send_rpc", "recv_rpc",
    }  # fmt: skip
    assert names["ops"] == names["full"]


async def lose_and_come_back(world: World) -> None:
    topics = [await pubsub.join("t") for pubsub in world.pubsubs]
    subscriptions = [await topic.subscribe() for topic in topics]
    await world.connect_all()
    await world.settle()
    world.crash(1)
    await world.settle()
    again = await world.restart(1)
    await (await again.join("u")).subscribe()
    await world.settle()
    await subscriptions[0].cancel()
    await world.settle()


def test_each_life_of_a_host_is_a_span(version: str, tmp_path: Path) -> None:
    """A crash ends its spans, a restart begins new ones; who leaves a topic says so."""
    with record_of_script(tmp_path / "run.sqlite", lose_and_come_back, hosts=2, version=version) as record:
        tree = Tree(record)
        first, second = tree.find("psmon", "host:1")
        assert first.end_ns is not None
        assert first.end_ns <= second.start_ns
        assert first.attributes == second.attributes
        (left,) = tree.find("psmon", "host:0", "pubsub", "topic", "topic:t")
        assert left.attributes == {"topic": "t", "left": True}
        (kept,) = tree.find("psmon", "host:1", "pubsub", "topic", "topic:u")
        assert "left" not in kept.attributes
        if version == "states":
            assert [machine.id for machine in record.machines if machine.span == second.id] == ["ps-1"]


def test_an_error_is_told_by_its_phase(tmp_path: Path) -> None:
    """The span of a phase that fails holds the error, and those above hold the outcome."""

    async def script(world: World) -> None:
        await world.pubsubs[0].join("t")
        await world.pubsubs[0].join("t")

    path = tmp_path / "run.sqlite"
    with pytest.raises(Exception, match="topic already exists"), record_of_script(path, script, hosts=1):
        pass
    with Record.open(path) as record:
        (phase,) = Tree(record).find("psmon", "testcase", "script")
        assert phase.attributes["error"] == "TopicExists: topic already exists: t"


def test_log_lines_are_recorded_if_asked_for(tmp_path: Path) -> None:
    """Those of flow machines too; without being asked for there is none."""
    with record_of(tmp_path / "log.sqlite", version="states", log=True) as record:
        machines = {record.machine(line.machine).id for line in record.logs()}
        assert any("-bf-" in machine for machine in machines)
    with record_of(tmp_path / "plain.sqlite", version="states") as record:
        assert record.logs() == []


def test_arguments_are_those_the_reference_tells(tmp_path: Path) -> None:
    """Topic and source, and no other."""
    with record_of(tmp_path / "run.sqlite", version="states") as record:
        args = [operation.args for operation in record.operations().values() if operation.args]
        assert {name for told in args for name in told} == {"topic", "source"}
        assert {told["topic"] for told in args if "topic" in told} == {"foobar"}


def test_what_happened_is_counted_by_phase_at_every_level(version: str, tmp_path: Path) -> None:
    """The counts are those of the run, however little is recorded of it."""
    counts = [dict(played(tmp_path / level, version=version, level=level).happened) for level in ("changes", "full")]
    for phase in PHASES:
        one, other = (dict(of.get(phase, {})) for of in counts)
        one.pop("operation", None)
        other.pop("operation", None)
        assert one == other
    assert counts[0]["rand msgs"]["deliver_msg"] == 30


def test_the_host_id_is_the_peers(tmp_path: Path) -> None:
    """So that what other tools say of a peer can be found."""
    with record_of(tmp_path / "run.sqlite", seed=3) as record:
        (span,) = Tree(record).find("psmon", "host:2")
        assert span.attributes["host_id"] == to_base58(World(3, seed=3).peer_ids[2])
