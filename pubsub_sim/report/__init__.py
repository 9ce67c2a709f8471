"""From stored runs to findings: intervals, ratios, tables, figures and the report. Runs nothing."""

from pubsub_sim.packages import require

require("pubsub_sim.report", "matplotlib", "numpy", "pandas", "pyarrow", "seaborn")
