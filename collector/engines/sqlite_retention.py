"""What was consumed, or is older than the retention, goes: in steps so small that no append waits for long.

The pages that become free are used again by what comes next, so that under a steady load the file stays at the size
that it once needed. They are not handed back to the file system: `auto_vacuum` would have to move pages about and write
a map of them with every commit, for room that is wanted again a minute later. A copy by `driftline repair`, which is
made row by row, is what shrinks a file for good.
"""

import sqlite3
from collections.abc import Callable, Collection

from collector.core.engine import LOGS, SCORES, SPANS, TURNS

_ROWS_PER_STEP = 2000
_BYTES_PER_STEP = 16 * 2**20  # with the rows: a step takes milliseconds
_CONSUMED = (SPANS, SCORES, TURNS)  # kept only until every stage is past them; the others are kept for the retention


class Trimmer:
    """Of the writer's connection, on its thread, between its transactions.

    Args:
        readers: the stages that read at present; None while that is not known, and all that ever did count. A stage
            that was switched off must not keep everything for ever.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        retention_seconds: float,
        now_ns: Callable[[], int],
        readers: Callable[[], Collection[str] | None],
    ) -> None:
        self._connection, self._now_ns, self._readers = connection, now_ns, readers
        self._retention_ns = round(retention_seconds * 1e9)
        self._waiting: list[str] = []

    def begin(self) -> None:
        """Look at every log once more."""
        self._waiting = list(LOGS)

    def step(self) -> bool:
        """Drop a little; False if there is nothing left to drop.

        Raises:
            sqlite3.Error: it could not be written; nothing was dropped.
        """
        if not self._waiting:
            return False
        log = self._waiting[-1]
        last, more = self._droppable(log)
        if last is not None:
            self._drop(log, last)
        if not more:
            self._waiting.pop()
        return bool(self._waiting)

    def _droppable(self, log: str) -> tuple[int | None, bool]:
        """The last offset of the next step, and whether there may be more after it."""
        progress = dict(self._connection.execute("SELECT stage, next_offset FROM stages WHERE log = ?", (log,)))
        if log not in _CONSUMED:
            readers = self._readers()
            if readers is not None:
                progress = {stage: offset for stage, offset in progress.items() if stage in readers}
        elif not progress:
            return None, False
        end = min(progress.values(), default=2**62)  # nobody reads it: age alone decides
        oldest_ns = 2**62 if log in _CONSUMED else self._now_ns() - self._retention_ns
        rows = self._connection.execute(
            f"SELECT offset, length(value), at_ns FROM log_{log} WHERE offset < ? ORDER BY offset LIMIT ?",  # noqa: S608
            (end, _ROWS_PER_STEP),
        )
        last, count, size = None, 0, 0
        for offset, length, at_ns in rows:
            # What stands behind a younger one is younger still, or a clock was set back: it waits.
            if at_ns > oldest_ns:
                return last, False
            last, count, size = offset, count + 1, size + length
            if size >= _BYTES_PER_STEP:
                return last, True
        return last, count == _ROWS_PER_STEP

    def _drop(self, log: str, last: int) -> None:
        # Whoever drops again what a power cut brought back does no harm, so that no step waits for the disk.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        try:
            self._connection.execute(f"DELETE FROM log_{log} WHERE offset <= ?", (last,))  # noqa: S608
        finally:
            self._connection.execute("PRAGMA synchronous = FULL")
