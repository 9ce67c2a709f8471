"""The beginning of a stream of a libp2p connection: both ends agree on its protocol, then it gets its user.

A negotiation hands its stream over inside the call that took the last token, together with what came behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pubsub_sim.libp2p.exchange import Exchange
from pubsub_sim.libp2p.multistream import choose, propose
from pubsub_sim.libp2p.yamux_streams import CANCELLED, NEGOTIATION_FAILED

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pubsub_sim.libp2p.yamux_streams import YamuxStream
    from pubsub_sim.net.libp2p_connection import Connection, StreamUser


class Negotiation:
    """Agrees on the protocol of a stream, then gives the stream to its user. Implements StreamUser.

    Args:
        connection: whose stream it is.
        stream: the stream.
        exchange: the steps of our end.
        make_user: gives the user of the stream for the protocol agreed on; None, and it is reset.
        on_failure: told why, if there is no agreement.
    """

    def __init__(
        self,
        connection: Connection,
        stream: YamuxStream,
        exchange: Exchange[str],
        make_user: Callable[[str], StreamUser | None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._exchange = exchange
        self._make_user = make_user
        self._on_failure = on_failure
        self._timer = connection.loop.call_later(connection.limits.negotiate_s, self._too_slow)
        stream.user = self
        self._send(exchange.begin())

    def received(self, data: bytes) -> None:
        """Go on; hand over once agreed, with what is left."""
        connection, stream, exchange = self._connection, self._stream, self._exchange
        self._send(exchange.receive(data))
        connection.session.credit(stream, len(data))
        if not exchange.is_over:
            return
        self._timer.cancel()
        user = self._make_user(exchange.result)
        if user is None:
            connection.session.reset(stream, NEGOTIATION_FAILED)
            return
        stream.user = user
        if exchange.rest:
            connection.session.credit(stream, -len(exchange.rest))  # its user takes it
            user.received(exchange.rest)

    def finished(self) -> None:
        """The peer gave up."""
        self.was_reset()
        self._connection.session.reset(self._stream, NEGOTIATION_FAILED)

    def was_reset(self) -> None:
        """The stream is gone."""
        self._timer.cancel()
        self._on_failure("the stream was reset")

    def give_up(self) -> None:
        """Nobody wants the stream any more."""
        self._timer.cancel()
        if not self._connection.is_over:
            self._connection.session.reset(self._stream, CANCELLED)
            self._connection.wake_if_needed()

    def _too_slow(self) -> None:
        self._on_failure(f"no protocol within {self._connection.limits.negotiate_s:g} s")
        self.give_up()

    def _send(self, data: bytes) -> None:
        if data:
            self._connection.session.write(self._stream, data)
            self._connection.wake_if_needed()


def negotiate_outbound(
    connection: Connection,
    protocols: Sequence[str],
    make_user: Callable[[YamuxStream, str], StreamUser],
    on_failure: Callable[[str], None],
) -> Negotiation:
    """Open a stream and propose protocols. Raises TooManyStreams."""
    stream = connection.session.open()
    exchange = Exchange(lambda: propose(protocols))
    return Negotiation(connection, stream, exchange, lambda protocol: make_user(stream, protocol), on_failure)


def negotiate_inbound(
    connection: Connection,
    stream: YamuxStream,
    protocols: Collection[str],
    make_user: Callable[[YamuxStream, str], StreamUser | None],
) -> Negotiation:
    """Have a stream that the peer opened choose among protocols."""
    exchange = Exchange(lambda: choose(protocols))
    return Negotiation(connection, stream, exchange, lambda protocol: make_user(stream, protocol), _nobody_waits)


def _nobody_waits(reason: str) -> None:
    """A stream of the peer's came to nothing."""
