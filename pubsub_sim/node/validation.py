"""When are messages checked? The validation queue and its workers, between a host's turns.

Messages from peers wait on a bounded queue and are checked in a call of their own, scheduled after the turn that put
them there; asynchronous validators get a task each. Local messages are checked in their publisher's task. Verdicts are
`protocol.validation`'s and the core's.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from typing import TYPE_CHECKING

from pubsub_sim.errors import MessageRejected
from pubsub_sim.protocol.operations import PublishMessage
from pubsub_sim.protocol.validation import (
    Reason,
    Validator,
    Verdict,
    refused_by_policy,
    refused_by_signature,
    verdict_of,
)

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.driver import Driver
    from pubsub_sim.ports import Clock
    from pubsub_sim.protocol.core import Core
    from pubsub_sim.protocol.params import HostParams
    from pubsub_sim.wire.message import Message

_log = logging.getLogger("pubsub_sim.validation")


class ValidationQueue:
    """One node's validation.

    Args:
        clock: schedules the checks.
        params: sizes.
    """

    def __init__(self, clock: Clock, params: HostParams) -> None:
        self._clock = clock
        self._capacity = params.validate_queue_size
        self._throttle = params.validate_throttle
        self._core: Core
        self._driver: Driver
        self._front: deque[Message] = deque()
        self._is_scheduled = False
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, core: Core, driver: Driver) -> None:
        """Whose messages are checked, and who publishes them."""
        self._core = core
        self._driver = driver

    def enqueue(self, message: Message) -> bool:
        """Take a message from a peer; False if the queue is full (port of the core)."""
        if len(self._front) >= self._capacity:
            return False
        self._front.append(message)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._clock.call_soon(self._check)
        return True

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits or is being checked."""
        return not self._front and not self._tasks

    async def close(self) -> None:
        """End all checks."""
        self._front.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def publish_local(self, message: Message) -> None:
        """Check a message of our own and give it to the driver; returns before it is delivered.

        A duplicate is no error, as in the reference.

        Raises:
            MessageRejected: the policy or a validator refused it.
            whatever the validator raises.
        """
        core = self._core
        if core.tracer is not None:
            core.tracer.publish_message(message)
        refusal = refused_by_policy(core.policy, message.wire, has_author=True) or refused_by_signature(message.wire)
        if refusal is not None:
            raise self._refusal(message, refusal)
        if not self._mark_fresh(message):
            return
        validator = core.validators.of(message.topic)
        if validator is not None:
            verdict = await _answer(validator, core.peer_id, message)
            if verdict is not Verdict.ACCEPT:
                raise self._refusal(message, _REASONS[verdict])
        await self._message_room()
        self._driver.submit(PublishMessage(message))

    async def _message_room(self) -> None:
        """Wait while the driver holds as many messages as it may; its next turn takes them all."""
        while not self._driver.has_message_room:  # noqa: ASYNC110 - a turn away, and a turn is a round of the loop
            await asyncio.sleep(0)

    def _refusal(self, message: Message, reason: Reason) -> MessageRejected:
        self._core.reject(message.wire, self._core.peer_id, reason)
        return MessageRejected(reason, message.topic)

    def _mark_fresh(self, message: Message) -> bool:
        core = self._core
        if not core.mark_seen(message.id):
            core.duplicate(message.id, message.received_from)
            return False
        if core.tracer is not None:
            core.tracer.validate_message(message)
        return True

    def _check(self) -> None:
        front, driver = self._front, self._driver
        while front and driver.has_message_room:
            self._check_one(front.popleft())
        self._is_scheduled = bool(front)
        if front:  # the driver's turn is due before this call, and makes room
            self._clock.call_soon(self._check)

    def _check_one(self, message: Message) -> None:
        core = self._core
        refusal = refused_by_signature(message.wire)
        if refusal is not None:
            return core.reject(message.wire, message.received_from, refusal)
        if not self._mark_fresh(message):
            return None
        validator = core.validators.of(message.topic)
        if validator is None:
            return self._driver.submit(PublishMessage(message))
        if validator.inline:
            try:
                verdict = verdict_of(validator.function(message.received_from, message))
            except Exception:
                verdict = _raised(validator)
            return self._conclude(message, verdict)
        if len(self._tasks) >= self._throttle or validator.running >= validator.concurrency:
            return core.reject(message.wire, message.received_from, Reason.THROTTLED)
        validator.running += 1
        task = asyncio.get_running_loop().create_task(self._check_in_task(validator, message), name="validator")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return None

    async def _check_in_task(self, validator: Validator, message: Message) -> None:
        try:
            verdict = await _answer(validator, message.received_from, message)
        except Exception:
            verdict = _raised(validator)
        finally:
            validator.running -= 1
        await self._message_room()
        self._conclude(message, verdict)

    def _conclude(self, message: Message, verdict: Verdict) -> None:
        if verdict is Verdict.ACCEPT:
            self._driver.submit(PublishMessage(message))
        else:
            self._core.reject(message.wire, message.received_from, _REASONS[verdict])


_REASONS = {Verdict.REJECT: Reason.FAILED, Verdict.IGNORE: Reason.IGNORED}


def _raised(validator: Validator) -> Verdict:
    """A validator that raised on somebody else's message: nobody's fault that the sender could be told of."""
    _log.exception("the validator of %s raised; the message is ignored", validator.topic)
    return Verdict.IGNORE


async def _answer(validator: Validator, peer: PeerId, message: Message) -> Verdict:
    """Run a validator; one that runs out of time ignores the message."""
    answer = validator.function(peer, message)
    if inspect.isawaitable(answer):
        try:
            async with asyncio.timeout(validator.timeout_s):
                answer = await answer
        except TimeoutError:
            return Verdict.IGNORE
    return verdict_of(answer)
