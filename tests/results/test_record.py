"""Run records and their parameters."""

from dataclasses import replace

import pytest

from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.results import RUN, Row, RunParameters, RunRecord
from pubsub_sim.results.parquet import SCHEMA
from pubsub_sim.results.record import PARAMETERS
from tests.results.runs import a_failure, a_run


def test_file_name_tells_the_cell_and_differs_with_any_parameter() -> None:
    """A file name shows version, hosts, messages and repeat, and changes when any parameter does."""
    first = RunParameters(version="states", hosts=5, messages=20, repeat=2)
    other = replace(first, sign="none")
    assert first.file_name().startswith("states-h5-m20-r2-")
    assert first.file_name() != other.file_name()


def test_same_parameters_give_the_same_key_in_every_process() -> None:
    """The key of a run depends on its parameters only, so that a later process finds the file again."""
    assert RunParameters(version="states", hosts=5, messages=20).key() == "5f75fc5ab737"


def test_every_parameter_is_a_column() -> None:
    """The first columns of the stored form are the parameters, in their order."""
    assert tuple(SCHEMA.names[: len(PARAMETERS)]) == PARAMETERS


def test_record_without_its_failures_row_is_refused() -> None:
    """Every record says in a row whether the run failed."""
    with pytest.raises(OptionConflict, match="the row \\(run, failures\\)"):
        replace(a_run(), rows=(Row(RUN, "wall_ns", 1),))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (Row("init", "wall_s", 1), "a metric of the table for 'init'"),
        (Row("init", "connections", 1), "a metric of the table for 'init'"),
        (Row("init", "wall_ns", 1.5), "wall_ns: expected a 64-bit whole number, got 1.5"),  # type: ignore[arg-type]
        (Row("init", "wall_ns", 2**63), "wall_ns: expected a 64-bit whole number"),
        (Row(RUN, "failures", 0), "each metric once per phase"),
    ],
)
def test_rows_that_do_not_fit_the_table_are_refused(row: Row, sentence: str) -> None:
    """A row with an unknown metric, in the wrong scope, twice, or with anything but an int64 is refused."""
    good = a_run().rows
    rows = (*good, row) if row.metric == "failures" else (*good[1:], row)
    with pytest.raises(OptionError, match=sentence):
        replace(a_run(), rows=rows)


def test_outcome_and_sentence_go_together() -> None:
    """An ok run has no error sentence and any other run has one."""
    with pytest.raises(OptionConflict, match="outcome="):
        replace(a_failure(), error="")
    with pytest.raises(OptionError, match="one of ok, failed, timeout, crashed"):
        replace(a_failure(), outcome="lost")


def test_number_that_was_not_reached_is_none() -> None:
    """Asking a failed run for a number it does not have gives None."""
    record: RunRecord = a_failure()
    assert record.value(RUN, "wall_ns") is None
    assert record.value(RUN, "failures") == 1
