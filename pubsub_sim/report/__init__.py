"""From stored runs to findings: intervals, ratios, tables, figures and the report. Runs nothing."""
