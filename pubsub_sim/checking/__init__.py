"""Test oracles: seeded runs that check delivery under faults, and the equivalence of two versions."""
