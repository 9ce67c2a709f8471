"""The protocols of libp2p below pubsub, as plain objects that take bytes and give bytes and events.

Nothing here reads a socket, a clock or a loop; `pubsub_sim.net.libp2p` drives these objects.
Sources: libp2p/specs (connections, noise, plaintext, identify, ping) and hashicorp/yamux spec.md.
"""
