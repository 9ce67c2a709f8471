"""The validation queue and its workers: the scheduling of validation between a host's turns.

Messages from peers wait in a bounded queue and are checked in a separate callback, scheduled after the turn that queued
them. Inline validators run in that callback, or in a worker's task if they are coroutine functions; other validators run
in one task per message, or in one task each if there are several. Local messages are checked in their publisher's task.
The core decides what to check: `check` returns the validators of a message, and an accepted message is submitted to the
driver as a PublishMessage.

Source: go-libp2p-pubsub (May 2024), `validation.go`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pubsub_sim.errors import HostClosed, OperationRefused
from pubsub_sim.foreign import FOREIGN_ERRORS, Cancellations, ForeignCode
from pubsub_sim.protocol.operations import PublishMessage
from pubsub_sim.protocol.validation import Conclusion, Reason, Validator, Verdict, verdict_of

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.driver import Driver
    from pubsub_sim.node.lifetime import Lifetime
    from pubsub_sim.ports import Clock
    from pubsub_sim.protocol.core import Core
    from pubsub_sim.protocol.params import HostParams
    from pubsub_sim.wire.message import Message

_IGNORED = "the message is ignored"


class ValidationQueue:
    """One node's validation.

    Args:
        clock: schedules the checks.
        params: sizes.
        lifetime: owns the tasks of validators.
        foreign: counts failures of validators.

    Attributes:
        refused: number of messages refused so far, as the queue was full.
    """

    refused = 0  # in the class: a queue that refuses nothing does nothing for it

    def __init__(self, clock: Clock, params: HostParams, lifetime: Lifetime, foreign: ForeignCode) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._foreign = foreign
        self._capacity = params.validate_queue_size
        self._throttle = params.validate_throttle
        self._workers = params.validate_workers
        self._core: Core
        self._driver: Driver
        self._front: deque[Message] = deque()
        self._is_scheduled = False
        self._is_closed = False
        self._busy = 0  # workers waiting for an inline validator
        self._running = 0  # messages with asynchronous validators under way
        self._own: dict[bytes, asyncio.Future[bool]] = {}
        """Own messages under validation: whether each will be published, by id."""

    def start(self, core: Core, driver: Driver) -> None:
        """Set the core, which checks messages, and the driver, which publishes them."""
        self._core = core
        self._driver = driver

    def enqueue(self, message: Message) -> bool:
        """Queue a message from a peer; return False if the queue is full (port of the core)."""
        if len(self._front) >= self._capacity or self._is_closed:
            self.refused += 1
            return False
        self._front.append(message)
        if not self._is_scheduled and self._busy < self._workers:
            self._schedule()
        return True

    def _schedule(self) -> None:
        self._is_scheduled = True
        self._clock.call_soon(self._check)

    @property
    def is_idle(self) -> bool:
        """Whether the queue is empty; messages being checked are in tasks."""
        return not self._front

    def end(self) -> None:
        """Start no more checks; waiting publishers get HostClosed."""
        self._is_closed = True
        self._front.clear()

    async def publish_local(self, message: Message) -> None:
        """Check an own message and submit it to the driver; return before delivery.

        A duplicate is not an error, as in the reference. A duplicate of a message under validation waits for the verdict, and
        is validated itself if that message is not published.

        Raises:
            MessageRejected: the policy or a validator refused it.
            HostClosed: the node was closed meanwhile.
            OperationRefused: a validator raised CancelledError, which would be mistaken for a cancellation of the caller,
                or StopIteration, which a coroutine cannot raise.
            whatever else the validator raises.
        """
        while (validators := self._core.check_own(message)) is None:
            first = self._own.get(message.id)
            if first is None:
                return
            await asyncio.wait({first})
            if first.result():
                return
            if self._is_closed:
                raise HostClosed("publish")
        if validators or self._is_closed or not self._driver.has_message_room:
            await self._validate_own(message, validators)
        self._driver.submit(PublishMessage(message))

    async def _validate_own(self, message: Message, validators: Sequence[Validator]) -> None:
        """Validate an own message and wait for room. On failure, or if its publisher is cancelled, its id is forgotten."""
        core = self._core
        fate = self._own[message.id] = asyncio.get_running_loop().create_future()
        is_accepted = False
        try:
            conclusion = Conclusion()
            for validator in validators:
                conclusion.add(await _answer_to_asker(validator, core.peer_id, message))
                if conclusion.is_rejected:
                    break
            if conclusion.refusal is not None:
                raise core.reject_own(message, conclusion.refusal)
            await self._message_room()
            is_accepted = True
        finally:
            if self._own.get(message.id) is fate:
                del self._own[message.id]
            if not is_accepted:
                core.forget_message(message)
            fate.set_result(is_accepted)

    async def _message_room(self) -> None:
        """Wait while the driver's queue of messages is full; its next turn takes them all."""
        while not self._driver.has_message_room and not self._is_closed:  # noqa: ASYNC110 - the next turn makes room
            await asyncio.sleep(0)
        if self._is_closed:
            raise HostClosed("publish")

    def _check(self) -> None:
        front, driver = self._front, self._driver
        try:
            while front and driver.has_message_room and self._busy < self._workers:
                self._check_one(front.popleft())
        except FOREIGN_ERRORS as error:
            self._lifetime.fail(error)
        self._is_scheduled = False
        if front and self._busy < self._workers:  # the driver's turn is due before the next call, and makes room
            self._schedule()

    def _check_one(self, message: Message) -> None:
        validators = self._core.check(message)
        if validators is None:
            return None
        if not validators:
            return self._driver.submit(PublishMessage(message))
        inline = [validator for validator in validators if validator.inline]
        others = [validator for validator in validators if not validator.inline]
        conclusion = Conclusion()
        if any(validator.is_coroutine for validator in inline):
            return self._start_worker(message, conclusion, inline, others)
        for place, validator in enumerate(inline):
            verdict = self._answer_at_once(validator, message)
            if verdict is None:
                return self._start_worker(message, conclusion, inline[place:], others)
            conclusion.add(verdict)
            if conclusion.is_rejected:
                break
        return self._run_validators(message, conclusion, others)

    def _start_worker(
        self, message: Message, conclusion: Conclusion, inline: Sequence[Validator], others: Sequence[Validator]
    ) -> None:
        self._busy += 1
        self._lifetime.start(self._work(message, conclusion, inline, others), "validation worker")

    async def _work(
        self, message: Message, conclusion: Conclusion, inline: Sequence[Validator], others: Sequence[Validator]
    ) -> None:
        """Run the inline validators of one message, some of which are asynchronous, in a worker."""
        try:
            for validator in inline:
                conclusion.add(await self._answer_or_ignore(validator, message))
                if conclusion.is_rejected:
                    break
        finally:
            self._busy -= 1
        if self._front and not self._is_scheduled:
            self._schedule()
        if others and not conclusion.is_rejected:
            return self._run_validators(message, conclusion, others)
        await self._message_room()
        return self._conclude(message, conclusion)

    def _run_validators(self, message: Message, conclusion: Conclusion, others: Sequence[Validator]) -> None:
        """Run the asynchronous validators after the inline ones, in a task, unless too many are under way."""
        if not others or conclusion.is_rejected:
            self._conclude(message, conclusion)
        elif self._running >= self._throttle:
            self._core.reject(message.wire, message.received_from, Reason.THROTTLED)
        else:
            self._running += 1
            self._lifetime.start(self._check_in_task(message, conclusion, others), "validators")

    async def _check_in_task(self, message: Message, conclusion: Conclusion, validators: Sequence[Validator]) -> None:
        try:
            if len(validators) == 1:
                await self._run_within_limit(validators[0], message, conclusion)
            else:
                await self._run_all(validators, message, conclusion)
        finally:
            self._running -= 1
        await self._message_room()
        self._conclude(message, conclusion)

    def _conclude(self, message: Message, conclusion: Conclusion) -> None:
        refusal = conclusion.refusal
        if refusal is None:
            self._driver.submit(PublishMessage(message))
        else:
            self._core.reject(message.wire, message.received_from, refusal)

    # --- calling validators --------------------------------------------------------------------------------------

    async def _run_within_limit(self, validator: Validator, message: Message, conclusion: Conclusion) -> None:
        """Run one validator, unless too many of its runs are under way."""
        if validator.running >= validator.concurrency:
            conclusion.add_throttled()
            return
        validator.running += 1
        try:
            conclusion.add(await self._answer_or_ignore(validator, message))
        finally:
            validator.running -= 1

    async def _run_all(self, validators: Sequence[Validator], message: Message, conclusion: Conclusion) -> None:
        """Run several validators, each in its own task; the first rejection cancels the others without waiting."""
        start = self._lifetime.start
        runs = [start(self._run_within_limit(v, message, conclusion), "validator") for v in validators]
        waiting = {run for run in runs if run is not None}
        try:
            while waiting and not conclusion.is_rejected:
                _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for run in waiting:
                self._lifetime.stop(run)

    def _answer_at_once(self, validator: Validator, message: Message) -> Verdict | None:
        """Run a synchronous validator; return None if it turns out to be asynchronous, which is remembered."""
        try:
            answer = validator.function(message.received_from, message)
            if not isinstance(answer, int) and inspect.isawaitable(answer):
                validator.is_coroutine = True
                if inspect.iscoroutine(answer):
                    answer.close()  # a worker calls it again
                return None
            return verdict_of(answer)
        except FOREIGN_ERRORS as error:
            return self._note_failure(validator, error)

    async def _answer_or_ignore(self, validator: Validator, message: Message) -> Verdict:
        """Run a validator on a peer's message."""
        ours = Cancellations()
        try:
            return await _answer(validator, message.received_from, message)
        except FOREIGN_ERRORS as error:
            if ours.are_ours(error):
                raise
            return self._note_failure(validator, error)

    def _note_failure(self, validator: Validator, error: BaseException) -> Verdict:
        """Count the error of a validator on a peer's message; the message is ignored without penalty for its sender."""
        self._foreign.note(f"validator of {validator.topic}", error, _IGNORED)
        return Verdict.IGNORE


async def _answer_to_asker(validator: Validator, peer: PeerId, message: Message) -> Verdict:
    """Run a validator for the publisher of a message, to whom its errors are raised."""
    ours = Cancellations()
    try:
        return await _answer(validator, peer, message)
    except asyncio.CancelledError as error:
        if ours.are_ours(error):
            raise
        raise OperationRefused("publish", f"the validator of {validator.topic} raised CancelledError") from error


async def _answer(validator: Validator, peer: PeerId, message: Message) -> Verdict:
    """Run a validator; on a timeout the message is ignored."""
    try:
        answer = validator.function(peer, message)
    except StopIteration as error:  # a coroutine cannot raise it
        raise OperationRefused("publish", f"the validator of {validator.topic} raised StopIteration") from error
    if inspect.isawaitable(answer):
        try:
            async with asyncio.timeout(validator.timeout_s):
                answer = await answer
        except TimeoutError:
            return Verdict.IGNORE
    return verdict_of(answer)
