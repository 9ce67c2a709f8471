"""The interval estimates of `results.intervals`. A sweep decides by them when to stop, and a report shows them."""

from pubsub_sim.results.intervals import (
    LEVEL,
    RESAMPLES,
    UNKNOWN,
    Estimate,
    drawn_medians,
    mean_of_medians,
    mean_of_sampled_groups,
    median,
    percentiles,
)

__all__ = [
    "LEVEL",
    "RESAMPLES",
    "UNKNOWN",
    "Estimate",
    "drawn_medians",
    "mean_of_medians",
    "mean_of_sampled_groups",
    "median",
    "percentiles",
]
