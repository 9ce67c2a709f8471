"""Exporters of an executed notebook: bench.md, a PDF and one HTML file.

nbconvert finds the three exporters by their entry points: `bench-md`, `typst` and `offline-html`.
"""
