"""Rows as Parquet files: `scores/date=2026-03-01/part-....parquet`, the layout that warehouses read as partitions.

pyarrow is an optional extra of 45 MB and takes as much memory: it is loaded when the first file is to be written.
"""

import importlib.util
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from collector.core.errors import UserError
from driftline.export.files import appearing, make_folder
from driftline.export.rows import CHANGE_FORM, SCORE_FORM, Row

FOLDERS = {SCORE_FORM: "scores", CHANGE_FORM: "changes"}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def require_pyarrow(who: str) -> None:
    """
    Raises:
        UserError: it is not installed; `who` is what needs it.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise UserError(f"{who} needs pyarrow, which is not installed: pip install 'driftline[parquet]'")


def part_path(folder: Path, form: str, date: str, name: str) -> Path:
    """Where a file of a day's rows is.

    >>> part_path(Path("lake"), SCORE_FORM, "2026-03-01", "0").as_posix()
    'lake/scores/date=2026-03-01/part-0.parquet'
    """
    return folder / FOLDERS[form] / f"date={date}" / f"part-{name}.parquet"


def record_batch(form: str, rows: Sequence[Row]) -> Any:
    """The rows as a pyarrow RecordBatch: a fifth of the memory that they take as objects."""
    import pyarrow

    return pyarrow.RecordBatch.from_pylist([_typed(row) for row in rows], schema=arrow_schema(form))


def write_part(path: Path, form: str, batches: Sequence[Any]) -> None:
    """Write a file, whole or not at all; one that is there is replaced.

    Raises:
        OSError: it cannot be written.
    """
    import pyarrow
    import pyarrow.parquet

    make_folder(path.parent)
    table = pyarrow.Table.from_batches(batches, schema=arrow_schema(form))
    with appearing(path) as out:
        pyarrow.parquet.write_table(table, out, compression="zstd")


@cache
def arrow_schema(form: str) -> Any:
    """The columns of a form. They have the names of the JSON form; times are timestamps to the microsecond."""
    import pyarrow as pa

    text, number, truth, whole = pa.string(), pa.float64(), pa.bool_(), pa.int64()
    time, texts = pa.timestamp("us", "UTC"), pa.map_(pa.string(), pa.string())
    estimate = pa.struct([(name, number) for name in ("value", "lower", "upper", "n")])
    carrier = pa.struct(
        [("attribute", text), ("value", text), ("is_new", truth)]
        + [(name, number) for name in ("share", "before", "after", "mix", "within", "traffic")]
    )
    coincidence = pa.struct(
        [(name, text) for name in ("kind", "value", "how")]
        + [("before", number), ("after", number), ("seen_time", text)]
    )
    companion = pa.struct(
        [(name, text) for name in ("change_id", "metric", "statistic", "direction")]
        + [("slices", texts), ("before", number), ("after", number)]
    )
    columns = {
        SCORE_FORM: [
            *((name, text) for name in ("form", "id", "trace_id")),
            *(("revision", whole), ("session_id", text), ("event_time", time), ("slices", texts)),
            *(("trace_error", truth), ("trace_incomplete", truth)),
            *((name, text) for name in ("span_id", "scorer", "evaluator_id", "decision", "reason")),
            *(("value", number), ("passed", truth), ("label", text)),
            *(("probability", number), ("weight", number), ("rule", text)),
        ],
        CHANGE_FORM: [
            *((name, text) for name in ("form", "id", "event", "change_id")),
            *(("sequence", whole), ("status", text), ("monitor", text), ("metric", text), ("statistic", text)),
            *(("slices", texts), ("direction", text), ("detector", text), ("evidence", number), ("threshold", number)),
            *((f"{name}_time", time) for name in ("detected", "onset", "onset_low", "onset_high", "resolved")),
            *((name, estimate) for name in ("before", "after", "size")),
            *(("carriers", pa.list_(carrier)), ("traces", pa.list_(text)), ("contrast_traces", pa.list_(text))),
            *(("paged", truth), ("reason", text), ("related", text), ("clipped", number), ("moved", text)),
            *(("coincidences", pa.list_(coincidence)), ("typical_traces", pa.list_(text))),
            *(("companions", pa.list_(companion)), ("evaluators_before", pa.list_(text))),
            *(("evaluators_after", pa.list_(text)), ("staked", number)),
        ],
    }
    metadata = {"driftline.form": form, "driftline.version": version("driftline")}
    return pa.schema(columns[form], metadata=metadata)


def _typed(row: Row) -> Row:
    """Times as whole microseconds since 1970, which every column of times can hold."""
    return {name: _microseconds(value) if name.endswith("_time") and value else value for name, value in row.items()}


def _microseconds(text: str) -> int:
    """
    >>> _microseconds("1970-01-01T00:00:01.000002999Z")
    1000002
    """
    moment = datetime.fromisoformat(text[:26] + "+00:00")
    return (moment - _EPOCH) // _MICROSECOND
