"""Simulations over several seeds and versions for a notebook: their series, and a picture of the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pubsub_sim.checks import check_whole
from pubsub_sim.errors import OptionError
from pubsub_sim.packages import explain_missing
from pubsub_sim.parameters import reject_unknown, several
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.simulator.meters import MachineMeter, Series
from pubsub_sim.simulator.options import SimOptions, seconds_of
from pubsub_sim.simulator.simulation import SimResult, Simulation
from pubsub_sim.world.running import run

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class SeedsOptions:
    """Simulations of several versions and seeds, on the virtual clock.

    Attributes:
        versions: versions of the control flow; one, a list or a comma-separated string.
        seeds: seeds of the runs; likewise.
        duration: duration of each run, on its own clock.
        peers: maximal number of peers.
        topics: maximal number of topics.
        router: "floodsub", "randomsub" or "gossipsub".
        loss: probability that a frame is lost.
        moment: time of the picture of the network, in seconds.

    Raises:
        OptionError: an invalid value.
    """

    versions: tuple[str, ...] = ("states", "baseline")
    seeds: tuple[int, ...] = (1, 2, 3)
    duration: str | float = "2m"
    peers: int = 20
    topics: int = 10
    router: str = "gossipsub"
    loss: float = 0.0
    moment: int = 60

    def __post_init__(self) -> None:
        object.__setattr__(self, "versions", several("versions", self.versions))
        object.__setattr__(self, "seeds", several("seeds", self.seeds))
        check_whole("moment", self.moment, at_least=0)
        if self.moment > seconds_of("duration", self.duration):
            raise OptionError("moment", self.moment, "a moment of the run")
        for version in self.versions:
            for seed in self.seeds:
                self.run_of(version, seed)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        """Return the options from a notebook's parameters; raise OptionError for invalid values and unknown names."""
        reject_unknown(parameters, cls.__dataclass_fields__)
        return cls(**parameters)

    def run_of(self, version: str, seed: int) -> SimOptions:
        """Return the options of one run."""
        return SimOptions(
            version=version,
            seed=seed,
            duration=self.duration,
            peers=self.peers,
            topics=self.topics,
            router=self.router,
            loss=self.loss,
        )


@dataclass(frozen=True)
class Links:
    """The network at one time, by names of peers.

    Attributes:
        peers: all ready peers.
        connections: connected pairs.
        meshes: pairs of which one has the other in its mesh, by topic.
    """

    peers: tuple[str, ...]
    connections: frozenset[tuple[str, str]]
    meshes: Mapping[str, frozenset[tuple[str, str]]]


class Simulated:
    """The simulated runs.

    Attributes:
        results: results by version and seed.
        frame: the series of all runs, with columns `version` and `seed`.
        links: the network of the first run at the requested time.
    """

    def __init__(self, options: SeedsOptions) -> None:
        with explain_missing("the notebook of the simulator"):
            import pandas as pd

        self.results: dict[tuple[str, int], SimResult] = {}
        self.links = Links((), frozenset(), {})
        frames = []
        for version in options.versions:
            for seed in options.seeds:
                frame = pd.DataFrame(self._play(options, version, seed))
                frames.append(frame.assign(version=version, seed=seed))
        self.frame = pd.concat(frames, ignore_index=True)

    def _play(self, options: SeedsOptions, version: str, seed: int) -> list[dict[str, Any]]:
        meter = MachineMeter()
        series = Series(meter)

        def take(sim: Simulation) -> None:
            series.take(sim)
            if not self.links.peers and sim.elapsed_s >= options.moment:
                self.links = links_of(sim)

        sim = Simulation(options.run_of(version, seed), tracers=[meter], on_metrics=take)
        self.results[version, seed] = run(sim.run(), clock="virtual", seed=seed)
        return list(series.rows)

    def account(self) -> Any:
        """Return a table with the account of each run."""
        import pandas as pd

        rows = [
            {
                "version": version,
                "seed": seed,
                "messages": result.sent,
                "owed": result.owed,
                "delivered": result.delivered,
                "missed": sum(result.missed.values()),
                "adds up": result.adds_up,
                "digest": result.digest[:12],
            }
            for (version, seed), result in self.results.items()
        ]
        return pd.DataFrame(rows)

    def over_time(self, *columns: str) -> Any:
        """Return a figure with a panel per column: means over seeds with 95 % intervals, a line per version."""
        import matplotlib.pyplot as plt
        import seaborn as sns  # type: ignore[import-untyped]  # has no stubs

        figure, axes = plt.subplots(len(columns), 1, figsize=(8, 2 * len(columns)), sharex=True, squeeze=False)
        for axis, column in zip(axes[:, 0], columns, strict=True):
            sns.lineplot(self.frame, x="time_s", y=column, hue="version", style="version", seed=0, n_boot=200, ax=axis)
            axis.set_ylabel(column.replace("_", " "))
            if axis is not axes[0, 0] and axis.get_legend() is not None:
                axis.get_legend().remove()
        axes[-1, 0].set_xlabel("simulated time (s)")
        figure.tight_layout()
        plt.close(figure)
        return figure

    def network(self, topic: str = "") -> Any:
        """Return a figure of peers on a circle: connections in grey, and the mesh of a topic, by default the largest."""
        import matplotlib.pyplot as plt
        import numpy as np

        links = self.links
        meshes = links.meshes
        shown = topic or max(meshes, key=lambda name: len(meshes[name]), default="")
        angles = np.linspace(0, 2 * np.pi, len(links.peers), endpoint=False)
        place = {name: (np.cos(angle), np.sin(angle)) for name, angle in zip(links.peers, angles, strict=True)}
        figure, axis = plt.subplots(figsize=(6, 6))
        for pairs, colour, width in ((links.connections, "0.85", 0.6), (meshes.get(shown, ()), "C0", 1.6)):
            for one, other in sorted(pairs):
                axis.plot(*zip(place[one], place[other], strict=True), color=colour, lw=width, zorder=1)
        for name, (x, y) in place.items():
            axis.scatter(x, y, color="0.3", zorder=2)
            axis.annotate(name.removeprefix("sim-"), (1.08 * x, 1.08 * y), ha="center", va="center", fontsize=8)
        axis.set_title(f"connections, and the mesh of {shown}" if shown else "connections")
        axis.set_axis_off()
        axis.set_aspect("equal")
        plt.close(figure)
        return figure


def links_of(sim: Simulation) -> Links:
    """Return the current network."""
    peers = [peer for peer in sim.peers.values() if peer.is_ready and peer.node is not None]
    names = {peer.node.peer_id: peer.name for peer in peers if peer.node is not None}
    connections: set[tuple[str, str]] = set()
    meshes: dict[str, set[tuple[str, str]]] = {}
    for peer in peers:
        assert peer.node is not None
        connections |= {_pair(peer.name, names[other]) for other in peer.node.connections if other in names}
        router = peer.node.pubsub.router
        for topic, members in router.mesh.items() if isinstance(router, GossipSub) else ():
            meshes.setdefault(topic, set()).update(_pair(peer.name, names[one]) for one in members if one in names)
    return Links(
        tuple(names.values()), frozenset(connections), {topic: frozenset(pairs) for topic, pairs in meshes.items()}
    )


def _pair(one: str, other: str) -> tuple[str, str]:
    return min(one, other), max(one, other)
