"""How scorers are called: side by side, and again where a failure may pass."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from collector.core.clock import FakeClock
from collector.core.model import Trace
from collector.core.telemetry import Counter, Telemetry
from collector.sample import Admission
from scorers.base import Scorer, scorer
from scorers.ledger import Decision
from scorers.retry import waits
from scorers.runner import Runner

EVERYTHING = Admission(unit=0.5, rate=1.0, upstream=1.0, rule="sample.rate")
TRACES = [Trace(f"{number:032x}", answer=str(number)) for number in range(1, 9)]


def evaluate(one: Scorer, traces: list[Trace] = TRACES, telemetry: Telemetry | None = None) -> list[Decision]:
    runner = Runner([one], telemetry or Telemetry(), FakeClock())
    try:
        return [found[0] for found in runner.evaluate_all([(trace, EVERYTHING, ()) for trace in traces])]
    finally:
        runner.close()


def test_calls_of_an_async_scorer_run_side_by_side_up_to_its_limit_and_answer_in_order() -> None:
    under_way, most = 0, 0

    @scorer(name="lookup")
    async def lookup(trace: Trace) -> float:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(20):
            await asyncio.sleep(0)
        under_way -= 1
        return int(trace.trace_id, 16) / 10

    found = evaluate(lookup.configured(concurrency=3))
    assert [one.score and one.score.value for one in found] == [number / 10 for number in range(1, 9)]
    assert most == 3


def test_a_call_that_fails_hangs_or_exits_leaves_those_beside_it_alone() -> None:
    @scorer(name="lookup")
    async def lookup(trace: Trace) -> float:
        number = int(trace.trace_id, 16)
        if number == 2:
            raise ConnectionError
        if number == 3:
            await asyncio.Event().wait()
        if number == 4:
            raise SystemExit(3)
        if number == 5:
            raise asyncio.CancelledError
        return 1.0

    found = evaluate(lookup.configured(concurrency=8, timeout_seconds=0.2))
    assert [one.reason for one in found] == [
        "ok",
        "exception",
        "timeout",
        "exception",
        "exception",
        "ok",
        "ok",
        "ok",
    ]


def test_a_call_that_blocks_its_thread_costs_those_beside_it_the_time_and_no_more() -> None:
    release = threading.Event()

    @scorer(name="lookup")
    async def lookup(trace: Trace) -> float:
        if int(trace.trace_id, 16) == 2:
            release.wait(30)
        return 1.0

    found = evaluate(lookup.configured(concurrency=8, timeout_seconds=0.05))
    release.set()
    assert found[0].reason == "ok"
    assert {one.reason for one in found[1:]} == {"timeout"}


def test_concurrency_is_for_async_scorers() -> None:
    @scorer(name="lookup")
    def lookup(trace: Trace) -> float:
        return 1.0

    with pytest.raises(ValueError, match="concurrency: 4 is for a scorer that is `async def`"):
        lookup.configured(concurrency=4)


def flaky(failures: int, is_async: bool) -> tuple[Scorer, Callable[[], int]]:
    tries = 0

    def attempt() -> float:
        nonlocal tries
        tries += 1
        if tries <= failures:
            raise ConnectionError
        return 1.0

    if is_async:

        @scorer(name="lookup", retry_on=(ConnectionError, TimeoutError))
        async def lookup(trace: Trace) -> float:
            return attempt()
    else:

        @scorer(name="lookup", retry_on=(ConnectionError, TimeoutError))
        def lookup(trace: Trace) -> float:
            return attempt()

    return lookup, lambda: tries


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(("failures", "reason", "tries"), [(0, "ok", 1), (2, "ok", 3), (3, "exception", 3)])
def test_what_may_pass_is_tried_again_and_counted(
    is_async: bool, failures: int, reason: str, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorers.retry._FIRST_WAIT_SECONDS", 0.001)
    telemetry = Telemetry()
    lookup, tried = flaky(failures, is_async)
    (found,) = evaluate(lookup, TRACES[:1], telemetry)
    assert (found.reason, tried()) == (reason, tries)
    instrument = next(one for one in telemetry.instruments() if one.name == "driftline_scorer_retries")
    assert isinstance(instrument, Counter)
    assert instrument.total() == tries - 1


def test_tries_have_the_timeout_together() -> None:
    lookup, tried = flaky(100, is_async=True)
    (found,) = evaluate(lookup.configured(retries=10, timeout_seconds=0.2), TRACES[:1])
    assert found.reason == "timeout"
    assert tried() < 5


def test_retries_are_for_scorers_that_say_what_may_pass() -> None:
    @scorer(name="lookup")
    def lookup(trace: Trace) -> float:
        return 1.0

    with pytest.raises(ValueError, match="retries: 3, but the scorer does not say what may pass"):
        lookup.configured(retries=3)


def test_waits_double_and_differ_between_traces_but_not_between_replays() -> None:
    for seed in ("a", "b"):
        for number, wait in enumerate(waits(6, seed)):
            assert 0.05 * 2**number <= wait < 0.15 * 2**number
    assert list(waits(6, "a")) == list(waits(6, "a")) != list(waits(6, "b"))
