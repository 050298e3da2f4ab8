"""Scores and changes of a period as Parquet files, out of the view: each trace as it is known now."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from collector.core.errors import UserError
from drift.base import decode_change
from driftline.export.parquet import FOLDERS, part_path, record_batch, require_pyarrow, write_part
from driftline.export.period import Period
from driftline.export.rows import CHANGE_FORM, SCORE_FORM, Row, change_row, day, score_rows
from driftline.records import Sheet
from driftline.view import View

_MOST_CHANGES = 1_000_000
_ROWS_A_FILE = 100_000
_ROWS_A_BATCH = 1_000


def export_parquet(view: View, period: Period, folder: Path, unscored: bool) -> dict[str, int]:
    """Write the files, and return how many rows there are of each kind. They appear together at the end.

    Raises:
        UserError: pyarrow is missing, or there are such files already: adding to them would count things twice.
        OSError: they cannot be written.
    """
    require_pyarrow("driftline export parquet")
    for name in FOLDERS.values():
        if (folder / name).exists():
            raise UserError(f"DIR: {folder / name} is there already; give a new folder, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    sheets = view.sheets_between(period.from_ns, period.to_ns)
    with tempfile.TemporaryDirectory(prefix=".driftline-export-", dir=folder) as name:
        unfinished = Path(name)
        written = {
            "scores": write_days(unfinished, SCORE_FORM, current_rows(sheets, unscored)),
            "changes": write_days(unfinished, CHANGE_FORM, detected_in(view, period)),
        }
        for found in sorted(unfinished.iterdir()):
            found.rename(folder / found.name)
    return written


def current_rows(sheets: Iterable[Sheet], unscored: bool) -> Iterator[Row]:
    """There is nothing here that a revision could take back: the view holds the last one alone."""
    for sheet in sheets:
        for row in score_rows(sheet, unscored=unscored):
            if unscored or row["decision"] == "scored":
                yield row


def detected_in(view: View, period: Period) -> Iterator[Row]:
    for encoded in reversed(view.changes(_MOST_CHANGES)):
        change = decode_change(encoded)
        if period.from_ns <= change.detected_ns < period.to_ns:
            yield change_row(change)


def write_days(folder: Path, form: str, rows: Iterable[Row]) -> int:
    """Write rows that come by time; returns how many. A day has several files if it has many rows."""
    count = 0
    part = _Part("", 0)
    for row in rows:
        if day(row) != part.date or part.rows == _ROWS_A_FILE:
            part.write(folder, form)
            part = _Part(day(row), part.number + 1 if day(row) == part.date else 0)
        part.add(form, row)
        count += 1
    part.write(folder, form)
    return count


class _Part:
    def __init__(self, date: str, number: int) -> None:
        self.date, self.number, self.rows = date, number, 0
        self._batches: list[Any] = []
        self._loose: list[Row] = []

    def add(self, form: str, row: Row) -> None:
        self.rows += 1
        self._loose.append(row)
        if len(self._loose) == _ROWS_A_BATCH:
            self._pack(form)

    def write(self, folder: Path, form: str) -> None:
        self._pack(form)
        if self._batches:
            write_part(part_path(folder, form, self.date, f"{self.number:05}"), form, self._batches)

    def _pack(self, form: str) -> None:
        if self._loose:
            self._batches.append(record_batch(form, self._loose))
            self._loose = []
