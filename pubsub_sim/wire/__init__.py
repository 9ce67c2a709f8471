"""Bytes to messages and back: the RPC and its signatures; no clock, loop, socket or chance."""
