"""Whether one version of an application is no worse than another, by the scores of the traffic of both.

A trace passes a scorer if all that was judged of it passed; with a limit, if all its values keep to that. The latter is
for what has no bounds (latency, tokens, money): whether a value keeps to a limit is 0 or 1 whatever the tail, so that
the guarantee of `drift.gate` holds as it is, of the share within the limit and not of the mean. Where values have
bounds, their means can be compared.

The first trace of B is held against the first of A, and so on in event time; where traces were kept with different
probability, some of the likelier ones are left out by a hash of their ids, so that what is compared stands for all
traffic.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from collector.core.errors import UserError
from collector.sample import hashed_unit
from drift.gate import Comparison, Told, Verdict
from driftline.gate_metric import Wanted
from driftline.records import Sheet

DEFAULT_ALPHA = 0.05
MOST_METRICS = 100
_THINNING = b"gate"


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
        twice = [name for name, times in Counter(one.name for one in self.metrics).items() if times > 1]
        if twice:
            raise UserError(f"metric: {twice[0]!r} is given twice")
        if not 0 < self.alpha < 1:
            raise UserError(f"alpha: {self.alpha:g} is not between 0 and 1")

    def key(self, wanted: Wanted) -> str:
        """What a metric is called among these: by its scorer, if no other metric is of that, else as it is asked."""
        alone = sum(one.scorer == wanted.scorer for one in self.metrics) == 1
        return wanted.scorer if alone else wanted.name


@dataclass
class Answer:
    """The verdict, and that on each metric, by `Question.key`. `traces` is how many there were of A and of B."""

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
            "metrics": [_metric(one, self.metrics[asked.key(one)]) for one in asked.metrics],
        }


def compare(question: Question, sheets: Iterable[Sheet]) -> Answer:
    """What the sheets, in order of event time, say of a question."""
    wanted_by = {question.key(one): one for one in question.metrics}
    arms: dict[str, tuple[list[_Judged], list[_Judged]]] = {key: ([], []) for key in wanted_by}
    traces = [0, 0]
    for sheet in sheets:
        version = sheet["slices"].get(question.by)
        if version not in (question.a, question.b):
            continue
        arm = int(version == question.b)
        traces[arm] += 1
        for key, judged in _verdicts(sheet, wanted_by):
            arms[key][arm].append(judged)
    told = {}
    for key, wanted in wanted_by.items():
        comparison = Comparison(wanted.unit_margin, question.alpha, question.alpha / len(question.metrics))
        for one, other in zip(*_thinned(*arms[key]), strict=False):
            comparison.add(one, other)
        told[key] = comparison.told
    return Answer(question, told, (traces[0], traces[1]))


class _Judged(NamedTuple):
    good: float
    probability: float
    trace_id: bytes


def _verdicts(sheet: Sheet, wanted: Mapping[str, Wanted]) -> Iterable[tuple[str, _Judged]]:
    """Of each metric of which something was told of the trace."""
    scorers = {one.scorer for one in wanted.values()}
    scores: dict[str, list[Mapping[str, Any]]] = {}
    chances: dict[str, float] = {}
    for decision in sheet["decisions"]:
        scorer, score = decision["scorer"], decision.get("score")
        if scorer in scorers and score is not None and decision["probability"] > 0:
            scores.setdefault(scorer, []).append(score)
            chances[scorer] = decision["probability"]
    for key, one in wanted.items():
        good = one.good(scores.get(one.scorer, ()))
        if good is not None:
            yield key, _Judged(good, chances[one.scorer], bytes.fromhex(sheet["trace_id"]))


def _thinned(a: list[_Judged], b: list[_Judged]) -> tuple[list[float], list[float]]:
    """What was told of both as if all had been kept with the least probability of any."""
    least = min((one.probability for one in (*a, *b)), default=1.0)
    return (
        [one.good for one in a if hashed_unit(one.trace_id, _THINNING) * one.probability < least],
        [one.good for one in b if hashed_unit(one.trace_id, _THINNING) * one.probability < least],
    )


def _metric(wanted: Wanted, told: Told) -> dict[str, Any]:
    """Levels and differences as people know them: rates, or in the scorer's unit."""
    lower, upper = wanted.ends(told.lower, told.upper)
    known = {
        **asdict(told),
        "level_a": wanted.level(told.level_a),
        "level_b": wanted.level(told.level_b),
        "difference": wanted.level(told.level_b) - wanted.level(told.level_a),
        **{"lower": lower, "upper": upper},
    }
    return {
        **{"scorer": wanted.scorer, "statistic": wanted.statistic, "better": wanted.shown_better},
        "margin": wanted.margin,
        **({} if wanted.limit is None else {"limit": f"{wanted.sense}{wanted.limit:g}"}),
        **{name: None if value != value else value for name, value in known.items()},  # no pairs: not a number
    }
