"""Retention keeps up: files stay at their size under steady load, and what is dropped holds up no append."""

from pathlib import Path

from collector.core.clock import FakeClock
from collector.core.engine import DECISIONS, SPANS
from collector.engines.sqlite_retention import Trimmer
from tests.collector.engines.stores import append, consume, engine, offsets, opened, rows


class Ticking(FakeClock):
    """A clock on which a millisecond passes whenever somebody looks at it."""

    def monotonic(self) -> float:
        self.advance(0.001)
        return super().monotonic()


def test_under_steady_load_the_file_stays_at_its_size(tmp_path: Path) -> None:
    clock = FakeClock()
    with opened(tmp_path, clock, retention="20s") as under:
        sizes, contents = [], []
        for _ in range(160):  # half a second each
            append(under, *(bytes(30_000) for _ in range(4)))
            append(under, *(bytes(1000) for _ in range(20)), log=DECISIONS)
            for log in (SPANS, DECISIONS):
                consume(under, f"reader of {log}", log)
            clock.advance(0.5)
            ((pages,),) = rows(under.path, "PRAGMA page_count")
            sizes.append(pages)
            contents.append(len(offsets(under.path, DECISIONS)))
        assert max(sizes[80:]) <= 1.1 * max(sizes[50:80]), "free pages are used again"
        assert max(contents[50:]) <= (20 + 2) * 2 * 20, "what is older than the retention is gone within two seconds"
        assert min(contents[50:]) >= 20 * 2 * 20 * 0.9, "and nothing younger is"


def test_a_step_is_small_in_rows_and_in_bytes(tmp_path: Path) -> None:
    with opened(tmp_path, FakeClock()) as under:  # in whose time the engine itself never comes to drop anything
        append(under, *(b"" for _ in range(5000)))
        append(under, *(bytes(5 * 2**20) for _ in range(10)))
        consume(under)
        left = [len(offsets(under.path))]
        trimmer = Trimmer(under._writer, 3600, lambda: 0, lambda: None)
        trimmer.begin()
        more = True
        while more:
            more = trimmer.step()
            if len(offsets(under.path)) != left[-1]:
                left.append(len(offsets(under.path)))
    assert left == [5010, 3010, 1010, 6, 2, 0]


def test_a_store_of_a_size_that_is_kept_is_not_read_through_to_find_what_is_old(tmp_path: Path) -> None:
    """What is looked at stays a step, however much there is."""
    with opened(tmp_path, FakeClock()) as under:
        append(under, *(b"" for _ in range(50_000)), log=DECISIONS)
        consume(under, "view", DECISIONS)
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        trimmer = Trimmer(under._writer, 3600, under.now_ns, lambda: None)
        trimmer.begin()
        under._writer.set_progress_handler(count, 100)
        while trimmer.step():
            pass
        under._writer.set_progress_handler(None, 0)
    assert steps < 50


def test_appends_come_between_the_steps(tmp_path: Path) -> None:
    """A long backlog of what may go: each append waits for a step or two, never for all of them."""
    clock = Ticking()
    under = engine(tmp_path, clock)
    append(under, *(b"" for _ in range(60_000)))
    consume(under)
    deletions = 0

    def count(statement: str) -> None:
        nonlocal deletions
        deletions += statement.startswith("DELETE FROM log_spans")

    under._writer.set_trace_callback(count)
    clock.advance(2)
    waited = []
    while len(offsets(under.path)) > 30_000:
        before = deletions
        append(under, b"new", log=DECISIONS)
        waited.append(deletions - before)
    under.close()
    assert waited
    assert max(waited) <= 20, waited


def test_a_clock_that_was_set_back_costs_nothing_that_is_young(tmp_path: Path) -> None:
    clock = FakeClock(now_ns=10**18)
    with opened(tmp_path, clock, retention="1h") as under:
        for seconds in (0, 7200, -3600):
            clock.advance(seconds)
            append(under, b"%d" % seconds, log=DECISIONS)
        consume(under, "view", DECISIONS)
        trimmer = Trimmer(under._writer, 3600, lambda: 10**18 + 5400 * 10**9, lambda: None)
        trimmer.begin()
        while trimmer.step():
            pass
        assert offsets(under.path, DECISIONS) == [2, 3]
