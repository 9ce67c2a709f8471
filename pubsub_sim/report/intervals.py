"""How sure is a number? The estimates of `results.intervals`: a sweep decides by them when to stop, a report shows them."""

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
