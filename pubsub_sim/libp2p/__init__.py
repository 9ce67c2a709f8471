"""Sans-I/O implementations of the libp2p protocols below pubsub: bytes in, bytes and events out.

They use no sockets, clock or event loop; `pubsub_sim.net.libp2p` drives them.
Sources: libp2p/specs (connections, noise, plaintext, identify, ping) and hashicorp/yamux spec.md.
"""
