"""The decisions of a pubsub node, as plain synchronous Python without an event loop, sockets, clock or random source of its own."""
