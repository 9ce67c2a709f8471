"""Oracles: seeded runs that judge delivery under faults, and the equivalence of two versions."""
