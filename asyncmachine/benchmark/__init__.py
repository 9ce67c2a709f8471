"""The engine's own benchmark: the cost of each feature, and what others take for the same. `python -m asyncmachine.benchmark`.

A room around the engine: nothing in the engine imports it. It needs the standard library only; the libraries measured
beside ours (the extra `peers`) are imported by name inside functions, and one that is absent is a row that says so.
"""
