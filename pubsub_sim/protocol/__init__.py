"""Every decision of a pubsub node, once, as plain synchronous Python: no loop, socket, clock or chance of its own."""
