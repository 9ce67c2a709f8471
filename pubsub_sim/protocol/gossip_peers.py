"""The peers of a gossipsub host, the features of their protocols, and the rules of selecting peers."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from pubsub_sim.protocol.params import GOSSIPSUB_ID_V10, GOSSIPSUB_ID_V11, GOSSIPSUB_ID_V12

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.router import RouterContext, Scoring
    from pubsub_sim.protocol.score_params import PeerScoreThresholds

PeerFilter = Callable[["PeerId", str], bool]
"""Returns whether this host lets a peer take part in a topic."""


class Feature(enum.IntFlag):
    """The features of a peer's protocol (`GossipSubDefaultFeatures`)."""

    NONE = 0
    MESH = 1
    PX = 2
    IDONTWANT = 4


def features_of(protocol: str) -> Feature:
    """Return the features of a protocol; none for an unknown one."""
    return _FEATURES.get(protocol, Feature.NONE)


_FEATURES = {
    GOSSIPSUB_ID_V10: Feature.MESH,
    GOSSIPSUB_ID_V11: Feature.MESH | Feature.PX,
    GOSSIPSUB_ID_V12: Feature.MESH | Feature.PX | Feature.IDONTWANT,
}


class GossipPeers:
    """The peers of one gossipsub host.

    Args:
        direct: peers that get all messages and are in no mesh; must be configured on both sides.
        peer_filter: which peers may take part in which topics; None allows all.
        scoring: scores peers; None scores all 0.
        thresholds: thresholds of scores.

    Attributes:
        features: features of each peer with an open stream.
        meshing: those with the mesh feature.
        outbound: peers dialled by this host.
        is_filtered: whether there is a filter of peers.
        direct: as given; a dict, for a deterministic order.
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
        self._context: RouterContext

    def attach(self, context: RouterContext) -> None:
        """Whose peers they are."""
        self._context = context

    def add(self, peer: PeerId, protocol: str) -> None:
        """Add a peer whose stream is open."""
        features = self.features[peer] = features_of(protocol)
        if features & Feature.MESH:
            self.meshing.add(peer)
        if self._context.is_outbound(peer):
            self.outbound.add(peer)

    def remove(self, peer: PeerId) -> None:
        """Remove a peer."""
        self.features.pop(peer, None)
        self.meshing.discard(peer)
        self.outbound.discard(peer)

    def can(self, peer: PeerId, feature: Feature) -> bool:
        """Return whether a peer has a feature."""
        return bool(self.features.get(peer, Feature.NONE) & feature)

    def scores(self) -> Mapping[PeerId, float]:
        """Return the score of each peer."""
        return {} if self.scoring is None else {peer: self.score(peer) for peer in self.features}

    def penalise(self, peer: PeerId, count: int) -> None:
        """Add penalties for a peer's misbehaviour."""
        if self.scoring is not None:
            self.scoring.add_penalty(peer, count)

    def choose(self, topic: str, count: int, accepts: Callable[[PeerId], bool]) -> list[PeerId]:
        """Return random acceptable peers of a topic with the mesh feature; at most `count`, or all if it is 0.

        Source: go-libp2p-pubsub `getPeers`.
        """
        meshing = self.meshing
        found = [peer for peer in self._context.topics.get(topic, ()) if peer in meshing and accepts(peer)]
        if self.is_filtered:
            found = [peer for peer in found if self.allows(peer, topic)]
        self._context.rng.shuffle(found)
        return found[:count] if count > 0 else found


def _nobody_is_scored(peer: PeerId) -> float:
    return 0.0


def _everybody_is_allowed(peer: PeerId, topic: str) -> bool:
    return True
