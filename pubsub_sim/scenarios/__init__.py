"""Worlds of several hosts, and what is played in them."""
