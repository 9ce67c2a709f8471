"""Encoding and decoding of RPCs and signatures, without clock, event loop, sockets or random numbers."""
