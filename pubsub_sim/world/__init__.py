"""Worlds of several hosts: hosts, network, clock, faults and trace, and the event loop that they run on."""
