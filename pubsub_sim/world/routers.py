"""The routers by name, the options that each takes, and the function that makes it."""

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
"""A fresh router for the host of a number, in a world of hosts with these ids."""


def router_maker(router: str | MakeRouter) -> Callable[[int, Sequence[PeerId], HostParams], Router]:
    """Return what makes the routers of a world: that of a name of `ROUTERS`, or the user's own function."""
    if isinstance(router, str):
        return ROUTERS[router]
    return lambda number, peer_ids, params: router(number, peer_ids)


def check_params(router: str | MakeRouter, params: object) -> HostParams:
    """Return a host's options, if they are those of its router; a router made by the user has options of its own.

    Raises:
        OptionError: they are those of another router, or none at all.
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
