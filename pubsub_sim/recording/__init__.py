"""Recorded runs of pubsub hosts, for inspection; not imported by measurements."""
