"""The simulator: a dynamic network of peers and topics, implemented as state machines."""
