"""Reports as CSV and Parquet: the same columns, units in their names, meanings in the schema."""

import csv
import io

import pyarrow.parquet
import pytest

from handlers.stats.reports.tables import SESSIONS, SHOTS, of_sessions, of_shots, written
from tests.handlers.stats.reports.made import session_of, spread


def test_a_session_is_a_row_and_a_shot_is_a_row_in_either_format():
    session, shots = session_of([*spread(11), None])
    for table, schema in ((of_sessions([session]), SESSIONS), (of_shots([session], shots), SHOTS)):
        rows = list(csv.DictReader(io.StringIO(written(table, "csv").decode())))
        read = pyarrow.parquet.read_table(io.BytesIO(written(table, "parquet")))
        assert read.schema.equals(schema, check_metadata=False)
        assert list(rows[0]) == read.column_names == schema.names
        assert len(rows) == read.num_rows == table.num_rows
        assert all(read.schema.field(name).metadata[b"description"] for name in schema.names)


def test_what_was_measured_stands_there_to_the_micrometre():
    session, shots = session_of([(1_234, -5_678), None])
    hit, missed = of_shots([session], shots).to_pylist()
    assert (hit["x_mm"], hit["y_mm"], hit["miss"], hit["ordinal"]) == (1.234, -5.678, False, 1)
    assert (missed["x_mm"], missed["y_mm"], missed["miss"], missed["score"]) == (None, None, True, 0.0)
    assert hit["score"] == pytest.approx((shots[0].score_tenths or 0) / 10)


def test_no_person_is_named_in_the_tables():
    assert not {"person", "shooter"} & {*SESSIONS.names, *SHOTS.names}
    assert of_sessions([]).num_rows == 0
