"""Every built-in stands the checks that authors run on theirs, and says when it is wrong."""

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path
from threading import Event

import pytest

import scorers.builtin
from collector.core.component import load
from collector.core.model import Trace
from scorers.base import Evidence, Score, Scorer, scorer
from scorers.testing import check_scorer, problems_of


def built_ins() -> list[Scorer]:
    modules = (
        importlib.import_module(f"scorers.builtin.{found.name}")
        for found in pkgutil.iter_modules(scorers.builtin.__path__)
    )
    found = [one for module in modules for one in vars(module).values() if isinstance(one, Scorer)]
    return sorted(found, key=lambda one: one.name)


@pytest.mark.parametrize("one", built_ins(), ids=lambda one: one.name)
def test_a_built_in_stands_every_check(one: Scorer) -> None:
    check_scorer(one)


@pytest.mark.parametrize("one", built_ins(), ids=lambda one: one.name)
def test_a_built_in_is_documented(one: Scorer) -> None:
    page = (Path(__file__).parents[2] / "docs" / "scorers.md").read_text(encoding="utf-8")
    assert f"### `{one.name}`" in page
    assert one.passing is None or f"`{one.passing.text}`" in page


@pytest.mark.parametrize("one", built_ins(), ids=lambda one: one.name)
def test_a_built_in_says_in_its_docstring_where_it_fails(one: Scorer) -> None:
    assert len(re.split(r"\n\s*\n", inspect.getdoc(one.function) or "")) >= 2


def test_the_names_are_unique() -> None:
    names = [one.name for one in built_ins()]
    assert len(names) == len(set(names)) >= 12


def test_the_example_is_a_scorer() -> None:
    one = load("./examples/my_scorers.py:politeness", "driftline.scorers", Path(__file__).parents[2])
    assert isinstance(one, Scorer)
    check_scorer(one)
    assert one(Trace("t", answer="Thank you, happy to help!")) == 1.0
    assert one(Trace("t", answer="No.")) == 0.0


calls: list[int] = []


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda trace: 2.0, "out_of_range"),
        (lambda trace: calls.append(1) or len(calls) / 1e6, "differ"),
        (lambda trace: setattr(trace, "answer", "x") or 1.0, "changes the trace"),
        (lambda trace: 1 / 0, "ZeroDivisionError"),
        (lambda trace: sys.exit(1), "raises SystemExit"),
        (lambda trace: Score(1.0, evidence=[Evidence(2, 1, "x")]), "evidence needs 0 <= start <= end"),
    ],
)
def test_the_kit_finds(function: object, problem: str) -> None:
    bad = scorer(name="bad", needs=("answer",))(function)  # type: ignore[arg-type]
    assert any(problem in line for line in problems_of(bad))
    with pytest.raises(AssertionError, match=problem):
        check_scorer(bad)


def test_the_kit_outlives_a_scorer_that_hangs_and_looks_no_further() -> None:
    begun: list[str] = []

    @scorer(name="hangs", needs=("answer",))
    def hangs(trace: Trace) -> float:
        """Waits for what never comes."""
        begun.append(trace.answer or "")
        Event().wait(5)
        return 1.0

    assert list(problems_of(hangs.configured(timeout_seconds=0.1))) == [
        "on the ordinary trace: timeout: no result within 0.1 s"
    ]
    assert len(begun) == 1


def test_the_kit_calls_scorers_of_batches_with_several_traces() -> None:
    @scorer(name="one_too_few", batch=8)
    def one_too_few(traces: list[Trace]) -> list[float]:
        """Forgets all but the first."""
        return [1.0]

    assert any("an outcome for each of its 2 traces" in problem for problem in problems_of(one_too_few))


def test_the_kit_gives_scorers_that_come_after_others_what_these_told() -> None:
    @scorer(name="later", after=("refusal",))
    def later(trace: Trace, scores: dict[str, Score]) -> float:
        """Whether it was refused."""
        return float("refusal" in scores)

    check_scorer(later)
