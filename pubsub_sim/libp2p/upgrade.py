"""The upgrade of a new connection: negotiate a security protocol, authenticate, negotiate the muxer.

Bytes received beyond the end of a phase are passed to the next phase.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pubsub_sim.checks import check_choice
from pubsub_sim.libp2p.exchange import Exchange
from pubsub_sim.libp2p.multistream import choose, propose
from pubsub_sim.libp2p.noise import NOISE, accept_noise, dial_noise
from pubsub_sim.libp2p.plaintext import PLAINTEXT, exchange_plaintext
from pubsub_sim.libp2p.yamux import YAMUX

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.libp2p.exchange import Steps
    from pubsub_sim.libp2p.security import Identity, Secured

SECURITY = (NOISE, PLAINTEXT)
"""The supported security protocols."""

MUXERS = (YAMUX,)
"""The supported muxers."""


class Upgrade:
    """One end of an upgrade.

    Args:
        identity: the own identity.
        security: the proposed or accepted security protocols, best first.
        is_dialler: whether this is the dialling end.
        expected: the dialled peer, if known.

    Attributes:
        is_over: whether the upgrade is complete.
        security: the negotiated security protocol; "" before.
        secured: the other end and the channel, once known.
        is_early: whether the muxer was negotiated in the security handshake.
        rest: received data beyond the upgrade, already decrypted.
    """

    def __init__(
        self, identity: Identity, security: Sequence[str], *, is_dialler: bool, expected: PeerId | None = None
    ) -> None:
        self.is_over = False
        self.security = ""
        self.secured: Secured
        self.is_early = False
        self.rest = b""
        self._identity = identity
        self._is_dialler = is_dialler
        self._expected = expected
        self._part: Exchange[Any] = Exchange(lambda: self._agree(security))
        self._is_secured = False

    def begin(self) -> bytes:
        """Return the bytes to send before anything is received."""
        return self._part.begin()

    def receive(self, data: bytes) -> bytes:
        """Process received bytes; return the bytes to send.

        Raises:
            Libp2pError: the upgrade failed.
        """
        sent = b""
        while True:
            if self._is_secured:
                data = self.secured.channel.open(data)
            answer = self._part.receive(data)
            sent += self.secured.channel.seal(answer) if self._is_secured and answer else answer
            if not self._part.is_over:
                return sent
            data = self._part.rest
            if not self.security:
                self.security = self._part.result
                sent += self._next(functools.partial(self._handshake, self.security))
                continue
            if self._is_secured:
                self._end(data)
                return sent
            self._is_secured = True
            self.secured = self._part.result
            if self.secured.muxer is not None:
                self.is_early = True
                self._end(self.secured.channel.open(data))
                return sent
            opening = self._next(functools.partial(self._agree, MUXERS))
            sent += self.secured.channel.seal(opening)

    def _next(self, steps: Any) -> bytes:
        self._part = Exchange(steps)
        return self._part.begin()

    def _end(self, rest: bytes) -> None:
        self.rest = rest
        self.is_over = True

    def _agree(self, protocols: Sequence[str]) -> Steps[str]:
        return propose(protocols) if self._is_dialler else choose(protocols)

    def _handshake(self, security: str) -> Steps[Secured]:
        check_choice("security", security, SECURITY)
        if security == PLAINTEXT:
            return exchange_plaintext(self._identity, self._expected)
        return dial_noise(self._identity, self._expected) if self._is_dialler else accept_noise(self._identity)
