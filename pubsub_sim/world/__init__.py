"""Worlds of several hosts: hosts, network, clock, faults, trace and event loop."""
