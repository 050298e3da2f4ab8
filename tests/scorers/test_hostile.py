"""Scorers of users at their worst: each is a failure by its kind; the scorer beside it and the next trace are fine."""

import asyncio
import io
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event
from typing import Any, NoReturn

import orjson
import pytest

from collector.core.model import Trace
from collector.core.telemetry import Telemetry
from collector.sample import Admission
from scorers.base import Evidence, Score, scorer
from scorers.builtin.refusal import refusal
from scorers.ledger import Decision, decision_to_json
from scorers.runner import Runner

EVERYTHING = Admission(unit=0.5, rate=1.0, upstream=1.0, rule="sample.rate")
TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", question="How far is the moon?", answer="I am sorry, I cannot help.")


class _EvilText(str):
    def __len__(self) -> NoReturn:
        raise SystemExit

    def isascii(self) -> NoReturn:
        raise SystemExit


class _EvilList(list[object]):
    def __len__(self) -> NoReturn:
        raise KeyboardInterrupt


class _EndlessList(list[object]):
    def __iter__(self) -> Iterator[object]:
        Event().wait(5)
        return iter(())


class _EvilClass:
    @property
    def __class__(self) -> NoReturn:  # type: ignore[override]
        raise SystemExit


class _Unprintable(Exception):
    def __str__(self) -> NoReturn:
        raise SystemExit

    __repr__ = __str__


class _Nameless(type):
    @property
    def __name__(cls) -> NoReturn:  # type: ignore[override]
        raise SystemExit


class _OfNoName(Exception, metaclass=_Nameless):
    pass


def raising(error: BaseException) -> Callable[[Trace], object]:
    def function(trace: Trace) -> object:
        raise error

    return function


def recurse(trace: Trace) -> object:
    return recurse(trace)


def long_chain(trace: Trace) -> object:
    error: Exception = ValueError()
    for _ in range(5_000):
        later = ValueError()
        later.__cause__, error = error, later
    raise error


async def cancels_itself(trace: Trace) -> object:
    raise asyncio.CancelledError


async def stops_its_loop(trace: Trace) -> object:
    asyncio.get_running_loop().stop()
    await asyncio.Event().wait()
    return 1.0


async def swallows_its_cancellation(trace: Trace) -> object:
    until = time.monotonic() + 2
    while time.monotonic() < until:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.1)
    return 1.0


EVIL_EVIDENCE = Evidence(0, 1, "x", _EvilText("x"))
BAD: dict[str, tuple[Callable[[Trace], object], str]] = {
    "exits": (raising(SystemExit(3)), "exception"),
    "interrupts": (raising(KeyboardInterrupt()), "exception"),
    "ends a generator": (raising(GeneratorExit()), "exception"),
    "raises a group": (raising(BaseExceptionGroup("both", [SystemExit(1), KeyboardInterrupt()])), "exception"),
    "raises what cannot be printed": (raising(_Unprintable()), "exception"),
    "raises what cannot be named": (raising(_OfNoName()), "exception"),
    "raises where no file can be named": (
        eval(compile("lambda trace: 1 / 0", "bad\udcff.py", "eval")),  # a file whose name is no UTF-8
        "exception",
    ),
    "raises a long chain": (long_chain, "exception"),
    "recurses": (recurse, "exception"),
    "wants all memory": (lambda trace: bytearray(2**60), "exception"),
    "cancels itself": (cancels_itself, "exception"),
    "stops its loop": (stops_its_loop, "exception"),
    "swallows its cancellation": (swallows_its_cancellation, "timeout"),
    "hangs": (lambda trace: Event().wait(5), "timeout"),
    "gives a text that exits": (lambda trace: _EvilText("calm"), "exception"),
    "gives an explanation that exits": (lambda trace: Score(0.5, explanation=_EvilText("x")), "exception"),
    "gives evidence that exits": (
        lambda trace: Score(0.5, evidence=(Evidence(0, 1, "x", _EvilText("x")),)),
        "exception",
    ),
    "gives a list that interrupts": (lambda trace: _EvilList([0.5]), "exception"),
    "gives a list without end": (lambda trace: _EndlessList([Score(0.5)]), "timeout"),
    "gives what has no class": (lambda trace: _EvilClass(), "exception"),
    "gives a generator": (lambda trace: (one for one in [1.0]), "wrong_type"),
    "gives a class": (lambda trace: float, "wrong_type"),
    "gives 2,000 scores": (lambda trace: [Score(0.5, span_id=str(at)) for at in range(2_000)], "wrong_type"),
}


def decide(
    function: Callable[[Trace], object], timeout_seconds: float = 10, **options: Any
) -> tuple[list[Decision], list[Decision]]:
    """What comes of the bad scorer, and of the one after it, on a trace and on the next."""
    bad = scorer(name="bad", needs=("answer",), **options)(function).configured(timeout_seconds=timeout_seconds)
    runner = Runner([bad, refusal], Telemetry())
    try:
        first, second = runner.evaluate(TRACE, EVERYTHING), runner.evaluate(TRACE, EVERYTHING)
    finally:
        runner.close()
    found = [*first, *second]
    return [one for one in found if one.scorer == "bad"], [one for one in found if one.scorer == "refusal"]


@pytest.mark.parametrize("name", BAD)
def test_the_worst_is_a_failure_by_its_kind_and_harms_nobody(name: str) -> None:
    function, reason = BAD[name]
    bad, others = decide(function, 0.3 if reason == "timeout" else 10)
    assert [(one.decision, one.reason, one.score) for one in bad] == [("failed", reason, None)] * 2
    assert [one.decision for one in others] == ["scored", "scored"]
    orjson.dumps([decision_to_json(one) for one in bad])


@pytest.mark.parametrize("name", ["exits", "gives a list that interrupts", "gives what has no class"])
def test_so_is_the_worst_batch(name: str) -> None:
    function, _ = BAD[name]
    bad, others = decide(lambda traces: function(traces[0]), batch=4)  # type: ignore[index]
    assert {(one.decision, one.score) for one in bad} == {("failed", None)}
    assert [one.decision for one in others] == ["scored", "scored"]


def test_a_child_that_comes_back_as_if_it_were_us_ends_at_once() -> None:
    def forks(trace: Trace) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer versions of Python warn of a fork beside threads
            child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 0
        return 1.0

    bad, others = decide(forks)
    assert [one.decision for one in bad + others] == ["scored"] * 4


def test_a_closed_output_fails_only_who_writes_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    def closes(trace: Trace) -> float:
        sys.stdout.close()
        print("gone")
        return 1.0

    bad, others = decide(closes)
    assert [(one.decision, one.reason) for one in bad] == [("failed", "exception")] * 2
    assert [one.decision for one in others] == ["scored", "scored"]


def test_who_changes_the_trace_changes_it_for_nobody_else() -> None:
    def changes(trace: Trace) -> float:
        trace.trace_id, trace.answer, trace.question = "0" * 32, None, None
        trace.contexts.append("x")
        trace.resource["service.name"] = "theirs"
        return 1.0

    bad, others = decide(changes)
    assert [one.decision for one in bad + others] == ["scored"] * 4
    assert (TRACE.contexts, TRACE.service, TRACE.trace_id[:4]) == ([], "unknown_service", "4bf9")
