"""The drivers: the control flow of a host, which is the only difference between the compared versions."""
