"""Measuring: the grid of runs, one fresh process per run, one record per process. Knows no figure and no statistics.

This file imports nothing, because a worker process must stay free of everything that is not measured.
"""
