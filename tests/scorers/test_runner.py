import math
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from pydantic import ValidationError

from collector.core.clock import FakeClock
from collector.core.errors import UserError
from collector.core.model import Trace
from collector.core.telemetry import Histogram, Telemetry
from collector.sample import Admission
from scorers.base import Score, Scorer, scorer
from scorers.ledger import Decision
from scorers.loading import ScorerConfig, load_scorer, load_scorers
from scorers.runner import Runner

EVERYTHING = Admission(unit=0.5, rate=1.0, upstream=1.0, rule="sample.rate")
TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", answer="Fine, thanks.", resource={"service.name": "shop"}, end_ns=9)


def decide(
    function: Callable[[Trace], object], admission: Admission = EVERYTHING, **declared: object
) -> list[Decision]:
    one = scorer(name="one", **declared)(function).configured(timeout_seconds=0.05)  # type: ignore[arg-type]
    runner = Runner([one], Telemetry(), FakeClock())
    try:
        return runner.evaluate(TRACE, admission)
    finally:
        runner.close()


def test_a_score_is_a_decision_with_its_probability_and_rule() -> None:
    (decision,) = decide(lambda trace: 0.7, passing=">= 0.5")
    assert (decision.decision, decision.reason, decision.rule, decision.probability) == (
        "scored",
        "ok",
        "sample.rate",
        1.0,
    )
    assert decision.score == Score(0.7, passed=True)


def test_a_missing_need_is_named() -> None:
    (decision,) = decide(lambda trace: 0.7, needs=("answer", "contexts"))
    assert (decision.decision, decision.reason, decision.score) == ("filtered", "needs:contexts", None)


def test_nothing_to_say_is_filtered_and_not_a_zero() -> None:
    (decision,) = decide(lambda trace: None)
    assert (decision.decision, decision.reason, decision.score) == ("filtered", "nothing to score", None)


def test_scores_of_operations_are_a_decision_each() -> None:
    found = decide(lambda trace: [Score(0.1, span_id="a"), Score(0.9, span_id="b")])
    assert [(decision.span_id, decision.score.value) for decision in found if decision.score] == [
        ("a", 0.1),
        ("b", 0.9),
    ]


def hangs(trace: Trace) -> float:
    Event().wait(2)
    return 1.0


def raises(trace: Trace) -> float:
    raise ValueError(f"cannot judge {trace.answer}")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (raises, "exception"),
        (lambda trace: sys.exit(1), "exception"),
        (hangs, "timeout"),
        (lambda trace: math.nan, "not_finite"),
        (lambda trace: 2.0, "out_of_range"),
        (lambda trace: {}, "wrong_type"),
    ],
)
def test_a_failure_is_never_a_score(function: Callable[[Trace], object], reason: str) -> None:
    (decision,) = decide(function)
    assert (decision.decision, decision.reason, decision.score) == ("failed", reason, None)


def test_the_detail_of_an_exception_says_where_but_not_what_was_in_the_trace() -> None:
    (decision,) = decide(raises)
    assert decision.detail.startswith("ValueError at test_runner.py:")
    assert "thanks" not in decision.detail


def test_one_failing_scorer_does_not_stop_the_others() -> None:
    runner = Runner([scorer(name="bad")(raises), scorer(name="good")(lambda trace: 1.0)], Telemetry())
    assert [decision.decision for decision in runner.evaluate(TRACE, EVERYTHING)] == ["failed", "scored"]
    runner.close()


@pytest.mark.parametrize(
    ("unit", "rate", "decision", "rule"),
    [
        (0.24, 0.5, "scored", "scorers[0].rate"),
        (0.25, 0.5, "not_sampled", "scorers[0].rate"),
        (0.49, 1.0, "scored", "sample.keep[0]"),
        (0.5, 0.5, "not_sampled", "sample.keep[0]"),  # not admitted at all: the scorer's own rate has no part in it
        (0.0, 0.0, "not_sampled", "scorers[0].rate"),
    ],
)
def test_a_scorer_sees_its_share_of_the_sampled_traces(unit: float, rate: float, decision: str, rule: str) -> None:
    one = scorer(name="one")(lambda trace: 1.0).configured(rate=rate)
    runner = Runner([one], Telemetry())
    (found,) = runner.evaluate(TRACE, Admission(unit, 0.5, 0.5, "sample.keep[0]"))
    assert (found.decision, found.rule) == (decision, rule)
    assert found.probability == 0.25 * rate
    runner.close()


def test_evaluation_counts_nothing_until_it_is_recorded() -> None:
    telemetry = Telemetry()
    runner = Runner([scorer(name="one", passing=">= 0.5")(lambda trace: 0.7)], telemetry)
    decisions = runner.evaluate(TRACE, Admission(0.1, 0.25, 1.0, "sample.rate"))
    values = {name: instrument for instrument in telemetry.instruments() if (name := instrument.name)}
    assert values["driftline_evaluations"].values() == {}  # type: ignore[attr-defined]
    tally = runner.tally()
    tally.add(TRACE, decisions)
    runner.record(tally)
    assert values["driftline_evaluations"].values() == {("one", "passed"): 1}  # type: ignore[attr-defined]
    assert values["driftline_decisions"].values() == {("one", "scored", "ok"): 1}  # type: ignore[attr-defined]
    assert values["driftline_valid"].values() == {("one", "shop"): 4}  # type: ignore[attr-defined]
    assert values["driftline_good"].values() == {("one", "shop"): 4}  # type: ignore[attr-defined]
    assert values["driftline_judged_scores"].values() == {("one", "shop"): 1}  # type: ignore[attr-defined]
    ratio = values["driftline_score_ratio"]
    assert isinstance(ratio, Histogram)
    (distribution,) = ratio.values().values()
    exemplar = distribution.exemplars[6]
    assert exemplar is not None
    assert (exemplar.trace_id, exemplar.value, exemplar.at_ns) == (TRACE.trace_id, 0.7, 9)
    runner.close()


def test_seconds_are_not_a_ratio() -> None:
    telemetry = Telemetry()
    runner = Runner([scorer(name="one", unit="seconds")(lambda trace: 0.7)], telemetry)
    tally = runner.tally()
    tally.add(TRACE, runner.evaluate(TRACE, EVERYTHING))
    runner.record(tally)
    ratio = telemetry.histogram("driftline_score_ratio", "", ("scorer", "service"), buckets=(), unit="ratio")
    assert ratio.values() == {}
    runner.close()


def test_an_entry_is_a_name_or_a_mapping() -> None:
    assert ScorerConfig.model_validate("refusal") == ScorerConfig(use="refusal")
    assert ScorerConfig.model_validate({"use": "refusal", "timeout": "2s", "rate": 0}).timeout == 2.0


@pytest.mark.parametrize("wrong", [{"use": ""}, {"use": "x", "rate": 1.5}, {"use": "x", "passes": "> 1"}, {}, 3])
def test_a_wrong_entry_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        ScorerConfig.model_validate(wrong)


MY_SCORERS = """
from scorers.base import scorer
@scorer(name="polite", needs=("output",), passing=">= 0.5")
def polite(trace, *, word: str = "please"):
    return word in trace.answer
def plain(trace):
    return 1.0
"""


def test_a_scorer_is_loaded_from_a_file_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MY_SCORERS)
    config = ScorerConfig(use="./mine.py:polite", name="kind", passing=">= 1", options={"word": "thanks"}, rate=0.5)
    one = load_scorer(config, tmp_path)
    assert (one.name, one.rate, one.passing and one.passing.text, one.built_in) == ("kind", 0.5, ">= 1", False)
    assert one(TRACE) is True


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"use": "./mine.py:plain"}, "without the @scorer"),
        ({"use": "./mine.py:nothing"}, "has no 'nothing'"),
        ({"use": "./theirs.py:polite"}, "there is no file"),
        ({"use": "./mine.py:polite", "passing": "good"}, "does not say what passes"),
        ({"use": "./mine.py:polite", "options": {"wrod": 1}}, "options.wrod: not an option; allowed are word"),
        ({"use": "./mine.py:polite", "timeout": 0}, "more than 0 seconds"),
        ({"use": "math:pi"}, "is a float, not a scorer"),
    ],
)
def test_every_way_to_be_wrong_has_its_message(tmp_path: Path, entry: dict[str, object], problem: str) -> None:
    (tmp_path / "mine.py").write_text(MY_SCORERS)
    with pytest.raises(UserError, match=problem):
        load_scorer(ScorerConfig.model_validate(entry), tmp_path)


def test_all_wrong_entries_are_told_at_once_with_their_paths(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MY_SCORERS)
    entries = ["./mine.py:polite", "./mine.py:polite", "./mine.py:plain"]
    with pytest.raises(UserError) as refused:
        load_scorers([ScorerConfig.model_validate(entry) for entry in entries], tmp_path)
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["scorers[1]", "scorers[2]"]


def test_a_built_in_runs_without_a_thread() -> None:
    one = load_scorer(ScorerConfig(use="scorers.builtin.refusal:refusal"))
    assert isinstance(one, Scorer)
    assert one.built_in
