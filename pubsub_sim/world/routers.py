"""The routers by name, with their options and factories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pubsub_sim.errors import OptionError
from pubsub_sim.protocol.floodsub import FloodSub
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.params import HostParams
from pubsub_sim.protocol.randomsub import RandomSub, RandomsubParams

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.router import Router

MakeRouter = Callable[[int, Sequence["PeerId"]], "Router"]
"""Creates the router of a host, given its number and the ids of all hosts."""


def router_maker(router: str | MakeRouter) -> Callable[[int, Sequence[PeerId], HostParams], Router]:
    """Return the factory of a world's routers: one of `ROUTERS` by name, or the user's function."""
    if isinstance(router, str):
        return ROUTERS[router]
    return lambda number, peer_ids, params: router(number, peer_ids)


def check_params(router: str | MakeRouter, params: object) -> HostParams:
    """Return a host's options after checking that they belong to its router; a custom router may have custom options.

    Raises:
        OptionError: they belong to another router, or are not options.
    """
    own = _PARAMS.get(router, HostParams) if isinstance(router, str) else HostParams
    if type(params) is own or type(params) is HostParams:
        return params
    names = " or ".join(dict.fromkeys((own.__name__, HostParams.__name__)))
    raise OptionError("params", params, f"{names} for this router")


def _make_floodsub(number: int, peer_ids: Sequence[PeerId], params: HostParams) -> Router:
    return FloodSub()


def _make_randomsub(number: int, peer_ids: Sequence[PeerId], params: HostParams) -> Router:
    size = params.size if isinstance(params, RandomsubParams) else None
    return RandomSub(size or len(peer_ids))


def _make_gossipsub(number: int, peer_ids: Sequence[PeerId], params: HostParams) -> Router:
    return GossipSub(params if isinstance(params, GossipsubParams) else None)


ROUTERS: dict[str, Callable[[int, Sequence[PeerId], HostParams], Router]] = {
    "floodsub": _make_floodsub,
    "randomsub": _make_randomsub,
    "gossipsub": _make_gossipsub,
}

_PARAMS: dict[str, type[HostParams]] = {"randomsub": RandomsubParams, "gossipsub": GossipsubParams}
