"""Worlds behind the ports: clocks, networks and a rendezvous; they know nothing of pubsub."""
