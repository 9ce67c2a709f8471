"""The peers of a gossipsub host, the features of their protocols, and the rules by which they may be chosen."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from pubsub_sim.protocol.params import GOSSIPSUB_ID_V10, GOSSIPSUB_ID_V11, GOSSIPSUB_ID_V12

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.core import Core
    from pubsub_sim.protocol.router import Scoring
    from pubsub_sim.protocol.score_params import PeerScoreThresholds

PeerFilter = Callable[["PeerId", str], bool]
"""Whether a peer may take part in a topic, as far as we are concerned."""


class Feature(enum.IntFlag):
    """What a peer's protocol lets it do (`GossipSubDefaultFeatures`)."""

    NONE = 0
    MESH = 1
    PX = 2
    IDONTWANT = 4


def features_of(protocol: str) -> Feature:
    """What a protocol can do; a protocol that is not known can do nothing."""
    return _FEATURES.get(protocol, Feature.NONE)


_FEATURES = {
    GOSSIPSUB_ID_V10: Feature.MESH,
    GOSSIPSUB_ID_V11: Feature.MESH | Feature.PX,
    GOSSIPSUB_ID_V12: Feature.MESH | Feature.PX | Feature.IDONTWANT,
}


class GossipPeers:
    """The peers of one gossipsub host.

    Args:
        direct: peers that get everything and are in no mesh; must be so on both sides.
        peer_filter: who may take part in which topic; None lets everybody.
        scoring: who scores peers; None scores everybody 0.
        thresholds: scores at which peers are treated differently.

    Attributes:
        features: what each peer with an open stream can do.
        meshing: those of them with the mesh feature.
        outbound: peers we dialled.
        is_filtered: whether not everybody may take part.
        direct: as given; a dict, so that its order is no accident.
    """

    def __init__(
        self,
        *,
        direct: Iterable[PeerId],
        peer_filter: PeerFilter | None,
        scoring: Scoring | None,
        thresholds: PeerScoreThresholds,
    ) -> None:
        self.features: dict[PeerId, Feature] = {}
        self.meshing: set[PeerId] = set()
        self.outbound: set[PeerId] = set()
        self.direct = dict.fromkeys(direct)
        self.scoring = scoring
        self.thresholds = thresholds
        self.score: Callable[[PeerId], float] = _nobody_is_scored if scoring is None else scoring.score
        self.allows: PeerFilter = _everybody_is_allowed if peer_filter is None else peer_filter
        self.is_filtered = peer_filter is not None
        self._core: Core

    def attach(self, core: Core) -> None:
        """Whose peers they are."""
        self._core = core

    def add(self, peer: PeerId, protocol: str) -> None:
        """The stream to a peer is open."""
        features = self.features[peer] = features_of(protocol)
        if features & Feature.MESH:
            self.meshing.add(peer)
        if self._core.is_outbound(peer):
            self.outbound.add(peer)

    def remove(self, peer: PeerId) -> None:
        """A peer is gone."""
        self.features.pop(peer, None)
        self.meshing.discard(peer)
        self.outbound.discard(peer)

    def can(self, peer: PeerId, feature: Feature) -> bool:
        """Whether a peer has a feature."""
        return bool(self.features.get(peer, Feature.NONE) & feature)

    def scores(self) -> Mapping[PeerId, float]:
        """The score of each peer."""
        return {} if self.scoring is None else {peer: self.score(peer) for peer in self.features}

    def penalise(self, peer: PeerId, count: int) -> None:
        """A peer misbehaved so many times."""
        if self.scoring is not None:
            self.scoring.add_penalty(peer, count)

    def choose(self, topic: str, count: int, accepts: Callable[[PeerId], bool]) -> list[PeerId]:
        """Random peers of a topic with the mesh feature that are acceptable; at most `count`, all if it is 0.

        Source: go-libp2p-pubsub `getPeers`.
        """
        meshing = self.meshing
        found = [peer for peer in self._core.topics.get(topic, ()) if peer in meshing and accepts(peer)]
        if self.is_filtered:
            found = [peer for peer in found if self.allows(peer, topic)]
        self._core.rng.shuffle(found)
        return found[:count] if count > 0 else found


def _nobody_is_scored(peer: PeerId) -> float:
    return 0.0


def _everybody_is_allowed(peer: PeerId, topic: str) -> bool:
    return True
