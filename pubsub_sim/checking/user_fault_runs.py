"""A seeded run with cancelled calls and failing user code on the virtual clock, and its check.

Users call their hosts at random; some calls are cancelled at a random iteration of the loop; all user code fails randomly
(`failing_users`). Then the failures end, connections are renewed, as a dropped RPC may have been a hello, and every host
publishes once more. The rules:

1. Every call ends: with a result, with its own error, or with the requested cancellation.
2. A cancelled call has no lasting effect: afterwards every topic can be joined and closed, and other hosts see no trace of
   the call.
3. No host fails because of user code.
4. A message published at the end reaches every host.
5. The world closes completely and in time, even if closing is cancelled: no tasks or connections remain.
6. All versions behave equally; `baseline` is played for comparison with any other.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pubsub_sim.checking.failing_users import (
    Failing,
    FailingService,
    Planted,
    failing_options,
    failing_readiness,
    failing_score,
    failing_validator,
)
from pubsub_sim.errors import DialError, MessageRejected, OperationRefused, TopicExists, TopicInUse
from pubsub_sim.net.link import LinkModel
from pubsub_sim.node.lifetime import Lifetime
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.params import HostParams
from pubsub_sim.protocol.score_params import PeerScoreParams
from pubsub_sim.world.running import run
from pubsub_sim.world.world import World

if TYPE_CHECKING:
    from pubsub_sim.node.driver import Driver, HostContext
    from pubsub_sim.node.pubsub import PubSub
    from pubsub_sim.node.topic import Readiness, Subscription, Topic

MakeDriver = Callable[["HostContext"], "Driver"]

_TOPICS = ("one", "two")
_LENGTH_S = 8.0
_CALLS = 40  # calls per user
_MOST_ROUNDS = 7  # iterations before a cancellation; most calls have ended by then
_REST_S = 150.0  # covers the back-off of dials and the retry of registrations
_SETTLE_S = 60.0
_HORIZON_S = 3600.0
_OWN = (Planted, OSError, OperationRefused, MessageRejected, TopicExists, TopicInUse)


@dataclass
class Story:
    """The result of one run, to be compared between versions.

    Attributes:
        calls: outcomes of the calls of each user, in order.
        read: messages read by each host's last subscriptions.
        foreign: failures of user code in each host, with their numbers.
        broken: violated rules.
    """

    calls: list[tuple[int, str, str]] = field(default_factory=list)
    read: list[list[bytes]] = field(default_factory=list)
    foreign: list[dict[str, int]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def user_fault_run(version: str, router: str, seed: int, make_driver: MakeDriver | None = None) -> list[str]:
    """Play one run and check it; return the problems as sentences.

    Args:
        version: version of the control flow.
        router: "floodsub" or "gossipsub".
        seed: the seed.
        make_driver: factory of the drivers, instead of the version's own.
    """
    story = _played(version, router, seed, make_driver)
    if story.broken or version == "baseline":
        return story.broken
    return _differences(version, story, _played("baseline", router, seed, None))


def _played(version: str, router: str, seed: int, make_driver: MakeDriver | None) -> Story:
    story = Story()
    try:
        run(_play(version, router, seed, make_driver, story), clock="virtual", horizon_s=_HORIZON_S)
    except Exception as error:
        story.broken.append(f"{type(error).__name__}: {error}")
    gc.collect()  # an unretrieved error of a task is reported when the task is collected
    return story


def _differences(version: str, one: Story, other: Story) -> list[str]:
    found = []
    for name in ("calls", "read", "foreign"):
        ours, theirs = getattr(one, name), getattr(other, name)
        if ours != theirs:
            pairs = zip(ours, theirs, strict=False)
            first = next((f"{a!r} and {b!r}" for a, b in pairs if a != b), f"{len(ours)} and {len(theirs)} of them")
            found.append(f"{name}: {version} and baseline differ, first in {first}")
    return found


async def _play(version: str, router: str, seed: int, make_driver: MakeDriver | None, story: Story) -> None:
    def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        story.broken.append(f"unhandled {context.get('exception')!r}: {context['message']}")

    asyncio.get_running_loop().set_exception_handler(tell)
    rng = random.Random(f"{seed}/user fault run")
    failing = Failing(seed, rng.choice((0.02, 0.1, 0.3)))
    world = _world(version, router, seed, rng, failing, make_driver)
    end = Lifetime("the end of the run")
    async with world:
        await _Users(world, seed, rng, failing, story).play()
        rounds = rng.choice((None, 0, 1, 2, 3, 5, 8))
        if rounds is not None:
            await _cancelled(end, world.__aexit__(None, None, None), rounds)
    await end.close()
    tasks = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if tasks or world.network.connections:
        story.broken.append(f"the world has ended, and left {world.network.connections} connections and tasks {tasks}")


def _world(
    version: str, router: str, seed: int, rng: random.Random, failing: Failing, make_driver: MakeDriver | None
) -> World:
    hosts = rng.randint(2, 4)

    def params(number: int) -> HostParams:
        if router != "gossipsub":
            return HostParams()
        score = PeerScoreParams(
            app_specific_score=failing_score(failing, number), decay_interval_s=1.0, decay_to_zero=0.01
        )
        return GossipsubParams(score=score)

    world = World(
        hosts,
        version=version,
        router=router,
        seed=seed,
        discovery=rng.random() < 0.4,
        params=params,
        options=lambda number: failing_options(failing, number),
        link=rng.choice((None, LinkModel(latency_s=(0.001, 0.05)))),
        make_driver=make_driver,
    )
    if world.rendezvous is not None:
        world.rendezvous = FailingService(failing)
    return world


async def _cancelled(owner: Lifetime, call: Awaitable[Any], rounds: int | None) -> tuple[str, Any]:
    """Return the outcome and the result of a call that is cancelled after some iterations of the loop."""
    outcome: list[tuple[str, Any]] = []

    async def make() -> None:
        try:
            outcome.append(("ok", await call))
        except asyncio.CancelledError:
            outcome.append(("cancelled", None))
        except Exception as error:
            outcome.append((type(error).__name__, error))

    task = owner.start(make(), "call of a user")
    if task is None:
        return "not made", None
    if rounds is not None:
        for _ in range(rounds + 1):  # one for its first step
            await asyncio.sleep(0)
        owner.stop(task)
    await asyncio.wait([task])
    return outcome[0]


class _Users:
    """The users of all hosts of one run."""

    def __init__(self, world: World, seed: int, rng: random.Random, failing: Failing, story: Story) -> None:
        self._world = world
        self._seed = seed
        self._rng = rng
        self._failing = failing
        self._story = story
        self._owner = Lifetime("the users")
        self._sent = 0

    async def play(self) -> None:
        """Play the calls with failures, then the recovery."""
        world, numbers = self._world, range(len(self._world.pubsubs))
        if world.rendezvous is None:
            await world.connect_all()
        await world.clock.sleep(1.0)
        self._failing.is_on = True
        users = [self._owner.start(_User(self, n).live(), f"user {n}") for n in numbers]
        await asyncio.wait([user for user in users if user is not None])
        self._failing.is_on = False
        await self._owner.close()
        await self._recover()

    @property
    def story(self) -> Story:
        """The result."""
        return self._story

    def host(self, number: int) -> PubSub:
        """Return the node of a host."""
        return self._world.pubsubs[number]

    def chance(self, number: int) -> random.Random:
        """Return the random numbers of one user."""
        return random.Random(f"{self._seed}/user {number}")

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await self._world.clock.sleep(seconds)

    async def call(self, number: int, what: str, call: Awaitable[Any], rounds: int | None) -> Any:
        """Make a call, optionally cancelled after some iterations; return its result, or None if there is none."""
        outcome, given = await _cancelled(self._owner, call, rounds)
        self._story.calls.append((number, what, outcome))
        if isinstance(given, Exception):
            if not isinstance(given, _OWN):
                self._story.broken.append(f"host {number}: {what} raised {given!r}")
            return None
        if outcome == "cancelled" and rounds is None:
            self._story.broken.append(f"host {number}: {what} was cancelled unexpectedly")
        return given

    @property
    def failing(self) -> Failing:
        """The source of failures."""
        return self._failing

    # --- recovery ------------------------------------------------------------------------------------------------

    async def _recover(self) -> None:
        """End the failures; check that calls have left no traces and that messages arrive."""
        world, story = self._world, self._story
        numbers = range(len(world.pubsubs))
        await world.clock.sleep(_REST_S)
        for a in numbers:
            for b in range(a):
                await world.disconnect(a, b)
                with suppress(DialError):
                    await world.connect(a, b)
        await world.settle(_SETTLE_S)
        for number in numbers:
            node = world.pubsubs[number]
            left = await node.topics()
            seen = [len(await node.list_peers(name)) for name in _TOPICS]
            if left or any(seen):
                story.broken.append(f"host {number}: topics {left} and peers {seen} are left of calls that are over")
        await self._publish_last()
        story.foreign = [dict(node.foreign_errors) for node in world.pubsubs]

    async def _publish_last(self) -> None:
        world = self._world
        topics: list[Topic] = [await node.join(_TOPICS[0]) for node in world.pubsubs]
        subscriptions: list[Subscription] = [await topic.subscribe() for topic in topics]
        await world.clock.sleep(5.0)  # a few heartbeats
        expected = sorted(b"last of host %d" % number for number in range(len(topics)))
        for number, topic in enumerate(topics):
            await topic.publish(b"last of host %d" % number)
        await world.clock.sleep(5.0)
        await world.settle(_SETTLE_S)
        for number, subscription in enumerate(subscriptions):
            read = sorted([(await subscription.next()).data for _ in range(subscription.pending)])
            self._story.read.append(read)
            if read != expected:
                self._story.broken.append(f"host {number} read {read} in the end, and not what all published")


class _User:
    """The user of one host."""

    def __init__(self, users: _Users, number: int) -> None:
        self._users = users
        self._number = number
        self._rng = users.chance(number)
        self._topics: dict[str, Topic] = {}
        self._releases: list[tuple[str, str, Callable[[], Awaitable[Any]]]] = []  # topic, what, how

    async def live(self) -> None:
        """Make random calls, then release everything."""
        for number in range(_CALLS):
            await self._users.pause(self._rng.uniform(0, 2 * _LENGTH_S / _CALLS))
            await self._call_something(number)
        while self._releases:
            await self._release(self._releases[0], None)
        for name in list(self._topics):
            await self._close(name, None)
        for name in self._topics:
            self._users.story.broken.append(f"host {self._number}: topic {name} cannot be closed")

    async def _call_something(self, number: int) -> None:
        rng = self._rng
        rounds = rng.choice((None, rng.randrange(_MOST_ROUNDS)))
        name = rng.choice(_TOPICS)
        if name not in self._topics:
            await self._join(name, rounds)
            return
        what = rng.choice(
            ("subscribe", "relay", "events", "publish", "publish", "publish", "validate", "release", "close")
        )
        if what == "release":
            if self._releases:
                await self._release(rng.choice(self._releases), rounds)
        elif what == "close":
            await self._close(name, rounds)
        elif what == "publish":
            await self._publish(name, number, rounds)
        elif what == "validate":
            await self._validate(name, rounds)
        else:
            await self._open(what, name, rounds)

    async def _call(self, what: str, call: Awaitable[Any], rounds: int | None) -> Any:
        return await self._users.call(self._number, what, call, rounds)

    async def _join(self, name: str, rounds: int | None) -> None:
        topic = await self._call(f"join {name}", self._users.host(self._number).join(name), rounds)
        if topic is not None:
            self._topics[name] = topic

    async def _open(self, what: str, name: str, rounds: int | None) -> None:
        handle = await self._call(f"{what} {name}", getattr(self._topics[name], what)(), rounds)
        if handle is None:
            return
        if what == "subscribe":
            self._releases.append((name, what, handle.cancel))
        elif what == "relay":
            self._releases.append((name, what, handle))
        else:

            async def close() -> None:
                handle.close()

            self._releases.append((name, what, close))

    async def _publish(self, name: str, number: int, rounds: int | None) -> None:
        data = b"message %d of host %d" % (number, self._number)
        ready: Readiness | None = failing_readiness(self._users.failing, f"host {self._number}", data)
        if self._rng.random() < 0.5:
            ready = None
        await self._call(f"publish {number}", self._topics[name].publish(data, ready=ready), rounds)

    async def _validate(self, name: str, rounds: int | None) -> None:
        node = self._users.host(self._number)
        if any(topic == name and what == "validate" for topic, what, _ in self._releases):
            return
        judge = failing_validator(
            self._users.failing, f"host {self._number}/{name}", self._rng.choice((None, 0.0, 0.05))
        )
        inline = self._rng.random() < 0.5

        async def register() -> bool:
            await node.register_validator(name, judge, inline=inline)
            return True

        if await self._call(f"validate {name}", register(), rounds):
            self._releases.append((name, "validate", lambda: node.unregister_validator(name)))

    async def _release(self, release: tuple[str, str, Callable[[], Awaitable[Any]]], rounds: int | None) -> None:
        """Release something; it is done once started, even if the call was cancelled."""
        name, what, give_up = release
        if what == "validate":
            rounds = None  # if cancelled, it may or may not have been done
        await self._call(f"release {what} {name}", give_up(), rounds)
        self._releases.remove(release)

    async def _close(self, name: str, rounds: int | None) -> None:
        topic = self._topics[name]

        async def close() -> bool:
            await topic.close()
            return True

        if await self._call(f"close {name}", close(), rounds):
            del self._topics[name]
