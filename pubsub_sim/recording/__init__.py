"""Recorded runs of pubsub hosts, to be looked into; nothing that measures imports this room."""
