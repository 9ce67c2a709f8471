"""One running node: what its users hold, its streams and its validation, and the seam to a driver."""
