"""How does an executed notebook become bench.md, a PDF or one HTML file?

nbconvert finds the three exporters by their entry points: `bench-md`, `typst` and `offline-html`.
"""
