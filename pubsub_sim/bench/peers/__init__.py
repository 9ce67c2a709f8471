"""Programs that play the scenario with other implementations, each started by the Python of its own environment."""
