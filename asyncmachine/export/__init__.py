"""Exporters of a record for other programs (Jaeger, OTLP, am-dbg, Perfetto), and diagrams of machines and schemas.

Packages outside the standard library are imported on use.
"""
