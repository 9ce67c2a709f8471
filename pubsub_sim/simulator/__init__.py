"""The simulator: a living network of peers and topics, all of it state machines."""
