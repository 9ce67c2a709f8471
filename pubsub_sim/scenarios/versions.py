"""Which versions can be played, and what are they made of? The names `drivers` knows, for rooms that only measure."""

from pubsub_sim.drivers.versions import describe_version, known_versions

__all__ = ["describe_version", "known_versions"]
