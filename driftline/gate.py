"""Whether one version of an application is no worse than another, by the verdicts of scorers on the traffic of both.

A trace passes a scorer if all that was judged of it passed; with a limit, if all its values keep to that. The latter is
for what has no bounds (latency, tokens, money): whether a value keeps to a limit is 0 or 1 whatever the tail, so that
the guarantee of `drift.gate` holds as it is, of the share within the limit and not of the mean.

The first trace of B is held against the first of A, and so on in event time; where traces were kept with different
probability, some of the likelier ones are left out by a hash of their ids, so that what is compared stands for all
traffic.
"""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from collector.core.errors import UserError
from collector.sample import hashed_unit
from drift.gate import Comparison, Told, Verdict
from driftline.records import Sheet

DEFAULT_MARGIN = 0.03
DEFAULT_ALPHA = 0.05
MOST_METRICS = 100
_THINNING = b"gate"


class Wanted(NamedTuple):
    """A scorer, and how much lower its pass rate may be.

    With `sense` ("<=" or ">="), a value passes that is at most or at least `limit`, in the scorer's unit.
    """

    scorer: str
    margin: float
    sense: str = ""
    limit: float | None = None

    def can_be_told(self, scorers: Container[str], judging: Container[str]) -> bool:
        """Whether its scorer is one of these: one that judges, unless there is a limit to judge by."""
        return self.scorer in (judging if self.limit is None else scorers)

    def passes(self, score: Mapping[str, Any]) -> bool | None:
        """None if this score does not tell."""
        if self.limit is None:
            return None if score["passed"] is None else bool(score["passed"])
        value = score.get("value")
        if value is None or math.isnan(value):
            return None
        return bool(value <= self.limit if self.sense == "<=" else value >= self.limit)


def parse_metric(text: str) -> Wanted:
    """`refusal`, `refusal:0.02`, `latency<=2.5` or `latency<=2.5:0.02`.

    Raises:
        UserError: the margin is not a number from 0 on and below 1, or the limit is no finite number.
    """
    name, _, margin = text.partition(":")
    sense = next((one for one in ("<=", ">=") if one in name), "")
    scorer, _, bound = name.partition(sense) if sense else (name, "", "")
    try:
        value = float(margin) if margin else DEFAULT_MARGIN
        limit = float(bound) if sense else None
    except ValueError:
        value, limit = -1.0, None
    if not scorer or not 0 <= value < 1 or (limit is not None and not math.isfinite(limit)):
        raise UserError(
            f"metric: {text!r} is not SCORER or SCORER:MARGIN with a margin from 0 on and below 1, "
            "where SCORER may be SCORER<=LIMIT or SCORER>=LIMIT"
        )
    return Wanted(scorer, value, sense, limit)


@dataclass(frozen=True)
class Question:
    """What is asked: versions `a` and `b` of the slice `by`, and each metric with its margin.

    alpha: the probability of letting a version pass that is worse than a margin allows; and that of failing one
    which is not, over all metrics together.
    """

    by: str
    a: str
    b: str
    metrics: Sequence[Wanted]
    alpha: float = DEFAULT_ALPHA

    def __post_init__(self) -> None:
        if self.a == self.b:
            raise UserError(f"a, b: both are {self.a!r}; two versions are compared")
        if not self.metrics or len(self.metrics) > MOST_METRICS:
            raise UserError(f"metric: {len(self.metrics)} are given; from 1 to {MOST_METRICS} can be compared")
        if len({one.scorer for one in self.metrics}) < len(self.metrics):
            raise UserError("metric: a scorer is given twice")
        if not 0 < self.alpha < 1:
            raise UserError(f"alpha: {self.alpha:g} is not between 0 and 1")


@dataclass
class Answer:
    """The verdict, and that on each metric. `traces` is how many there were of A and of B."""

    question: Question
    metrics: Mapping[str, Told]
    traces: tuple[int, int]
    verdict: Verdict = field(init=False)

    def __post_init__(self) -> None:
        verdicts = {told.verdict for told in self.metrics.values()}
        self.verdict = "fail" if "fail" in verdicts else "pass" if verdicts == {"pass"} else "undecided"

    def to_json(self) -> dict[str, Any]:
        asked = self.question
        return {
            "verdict": self.verdict,
            "by": asked.by,
            "a": asked.a,
            "b": asked.b,
            "alpha": asked.alpha,
            "traces": {"a": self.traces[0], "b": self.traces[1]},
            "metrics": [
                {
                    "scorer": one.scorer,
                    "margin": one.margin,
                    **({} if one.limit is None else {"limit": f"{one.sense}{one.limit:g}"}),
                    **_finite(asdict(self.metrics[one.scorer])),
                }
                for one in asked.metrics
            ],
        }


def compare(question: Question, sheets: Iterable[Sheet]) -> Answer:
    """What the sheets, in order of event time, say of a question."""
    arms: dict[str, tuple[list[_Judged], list[_Judged]]] = {one.scorer: ([], []) for one in question.metrics}
    wanted_by = {one.scorer: one for one in question.metrics}
    traces = [0, 0]
    for sheet in sheets:
        version = sheet["slices"].get(question.by)
        if version not in (question.a, question.b):
            continue
        arm = int(version == question.b)
        traces[arm] += 1
        for scorer, judged in _verdicts(sheet, wanted_by):
            arms[scorer][arm].append(judged)
    told = {}
    for wanted in question.metrics:
        comparison = Comparison(wanted.margin, question.alpha, question.alpha / len(question.metrics))
        for one, other in zip(*_thinned(*arms[wanted.scorer]), strict=False):
            comparison.add(one, other)
        told[wanted.scorer] = comparison.told
    return Answer(question, told, (traces[0], traces[1]))


class _Judged(NamedTuple):
    passed: bool
    probability: float
    trace_id: bytes


def _verdicts(sheet: Sheet, wanted: Mapping[str, Wanted]) -> Iterable[tuple[str, _Judged]]:
    """Of each wanted scorer that judged something of the trace."""
    found: dict[str, _Judged] = {}
    for decision in sheet["decisions"]:
        scorer, score = decision["scorer"], decision.get("score")
        if scorer not in wanted or score is None or decision["probability"] <= 0:
            continue
        passed = wanted[scorer].passes(score)
        if passed is None:
            continue
        before = found[scorer].passed if scorer in found else True
        found[scorer] = _Judged(before and passed, decision["probability"], bytes.fromhex(sheet["trace_id"]))
    return found.items()


def _thinned(a: list[_Judged], b: list[_Judged]) -> tuple[list[float], list[float]]:
    """The verdicts of both as if all had been kept with the least probability of any."""
    least = min((one.probability for one in (*a, *b)), default=1.0)
    return (
        [float(one.passed) for one in a if hashed_unit(one.trace_id, _THINNING) * one.probability < least],
        [float(one.passed) for one in b if hashed_unit(one.trace_id, _THINNING) * one.probability < least],
    )


def _finite(told: dict[str, Any]) -> dict[str, Any]:
    """Without what is not a number: nothing was compared yet."""
    return {name: None if value != value else value for name, value in told.items()}
