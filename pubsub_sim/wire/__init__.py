"""Bytes to messages and back: the RPC, its framing and its signatures; no clock, loop, socket or chance."""
