"""The export stages: they read what the ledger and the watchers wrote, and write it where others can use it.

Each has an offset of its own in each log, so that one whose other side is gone keeps nobody else waiting. A new one
begins with the oldest record that is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from collector.core.engine import CHANGES, DECISIONS, Engine, Entry
from collector.core.telemetry import Telemetry
from drift.base import decode_change
from driftline.export.rows import CHANGE_FORM, SCORE_FORM, Row, change_row, score_rows
from driftline.export.topic import Topic
from driftline.pipeline import Stage
from driftline.records import read_sheet


@dataclass(frozen=True)
class Source:
    """A log, and the rows that a record of it makes; `rows` raises ValueError or KeyError for what is none of ours."""

    name: str
    log: str
    form: str
    rows: Callable[[bytes], list[Row]]


def scores(unscored: bool) -> Source:
    return Source("scores", DECISIONS, SCORE_FORM, partial(_score_rows, unscored=unscored))


def changes() -> Source:
    return Source("changes", CHANGES, CHANGE_FORM, lambda value: [change_row(decode_change(value))])


def _score_rows(value: bytes, unscored: bool) -> list[Row]:
    return score_rows(read_sheet(value), unscored=unscored)


def stage_name(sink: str, source: Source) -> str:
    return f"export-{sink}-{source.name}"


class ExportStage(Stage):
    """What all of them share: records into rows, and counting."""

    def __init__(self, sink: str, source: Source, engine: Engine, telemetry: Telemetry) -> None:
        super().__init__(stage_name(sink, source), engine, source.log, telemetry)
        self._sink, self._source = sink, source
        self._exported = telemetry.counter(
            "driftline_exported_rows", "Rows written, of scores and of changes.", ["sink", "rows"]
        )
        self._left_out = telemetry.counter(
            "driftline_export_left_out",
            "Not written: records of the log that could not be read (unreadable), rows that the other side never takes "
            "(too_large).",
            ["sink", "rows", "reason"],
        )

    def rows_of(self, entries: Sequence[Entry]) -> list[Row]:
        """The rows of the records; those that cannot be read are counted."""
        rows: list[Row] = []
        for entry in entries:
            try:
                rows += self._source.rows(entry.value)
            except (ValueError, KeyError, TypeError):
                self._left_out.add(1, self._sink, self._source.name, "unreadable")
        return rows

    def wrote(self, rows: int, too_large: int = 0) -> None:
        """Count, once it is committed."""
        self._exported.add(rows - too_large, self._sink, self._source.name)
        if too_large:
            self._left_out.add(too_large, self._sink, self._source.name, "too_large")


class TopicStage(ExportStage):
    """Each batch is sent, acknowledged by the brokers, and only then committed: a row comes at least once."""

    def __init__(self, topic: Topic, source: Source, engine: Engine, telemetry: Telemetry) -> None:
        super().__init__("kafka", source, engine, telemetry)
        self._topic = topic

    def process(self, partition: int, entries: Sequence[Entry]) -> None:
        rows = self.rows_of(entries)
        too_large = 0

        def send() -> None:
            nonlocal too_large
            too_large = self._topic.send(rows)

        if rows:
            self.retrying(send)
        self.commit_offset(partition, entries)
        self.wrote(len(rows), too_large)

    def finish(self) -> None:
        self._topic.close()
