"""Readers of a record for other programs: Jaeger and OTLP, am-dbg, Perfetto; and diagrams of machines and schemas.

Each module needs only what its format needs; packages outside the standard library are imported when they are asked for.
"""
