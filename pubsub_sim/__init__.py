"""A libp2p-style pubsub, twice: as a classic event loop and as state machines."""
