"""The ledger's words: what happened to each candidate (trace, scorer), with its reason and inclusion probability."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from collector.allowance import mark
from scorers.base import Evidence, Score

DecisionKind: TypeAlias = Literal[
    "scored", "filtered", "not_sampled", "throttled", "over_budget", "shed", "pending", "failed"
]
DECISION_KINDS: tuple[str, ...] = get_args(DecisionKind)

NOTHING_TO_SCORE = "nothing to score"
TOLD_ELSEWHERE = "told by another trace"
MORE_OPERATIONS = "too many operations"


@dataclass(slots=True)  # not frozen: made for every score, and frozen costs four times as much
class Decision:
    """What happened to one candidate.

    `reason` is of a closed set, fit for a metric label: `ok`; `needs:<need>`, `told by another trace` (all its model
    calls belong to another), `too many operations`, `rule does not apply` or `nothing to score`; `rate`; `limit`;
    `behind`; a failure reason. `detail` says more of it without content, such as an exception's type and where it was
    raised. `rule` is the configuration line that decided. `span_id` is the operation scored, None for the whole trace.
    `step` is the rate of its scorer's limit (`collector.allowance`) that it met; None without a limit.
    """

    scorer: str
    evaluator_id: str
    decision: DecisionKind
    reason: str
    probability: float
    rule: str
    score: Score | None = None
    span_id: str | None = None
    detail: str = ""
    step: int | None = None


def marks_of(decisions: Iterable[Decision]) -> list[str]:
    """What is remembered of a trace for its revisions: which scorers gave it a score, and the rate of limits it met."""
    scored = [one.scorer for one in decisions if one.score is not None and one.score.value is not None]
    met = [one for one in decisions if one.step is not None and one.decision != "over_budget"]
    return scored + [mark(one.scorer, one.step or 0) for one in met]


def score_id(trace_id: str, span_id: str | None, scorer: str, revision: int) -> str:
    """The identity of a score: the same wherever and however often it is computed.

    >>> score_id("4bf92f3577b34da6a3ce929d0e0e4736", None, "groundedness", 0)
    'e76107e3ac0f738107073331fa2aef4d'
    """
    parts = "\0".join((trace_id, span_id or "", scorer, str(revision)))
    return hashlib.blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """A plain dictionary, without what is empty."""
    return row_to_json(
        decision_to_row(decision, decision.probability, decision.rule), decision.probability, decision.rule
    )


Row: TypeAlias = Sequence[Any]
"""A decision without field names: scorer, evaluator id, decision, reason, score, rest. The score is a list of value,
passed, label, explanation, evidence, span id, or None; the rest a dictionary of what is not as usual, or None."""


def decision_to_row(decision: Decision, probability: float, rule: str) -> Row:
    """A decision as a row; `probability` and `rule` are the usual ones, which need not be told."""
    rest: dict[str, Any] = {}
    if decision.probability != probability:
        rest["probability"] = decision.probability
    if decision.rule != rule:
        rest["rule"] = decision.rule
    if decision.span_id is not None:
        rest["span_id"] = decision.span_id
    if decision.detail:
        rest["detail"] = decision.detail
    score = decision.score
    told = None
    if score is not None:
        evidence = [evidence_to_json(item) for item in score.evidence] if score.evidence else None
        told = (score.value, score.passed, score.label, score.explanation, evidence, score.span_id)
    return decision.scorer, decision.evaluator_id, decision.decision, decision.reason, told, rest or None


def row_to_json(row: Row, probability: float, rule: str) -> dict[str, Any]:
    """What `decision_to_json` gives of the decision that `decision_to_row` made a row."""
    scorer, evaluator_id, kind, reason, told, rest = row
    record = {"scorer": scorer, "evaluator_id": evaluator_id, "decision": kind, "reason": reason}
    record |= {"probability": probability, "rule": rule, **(rest or {})}
    if told is not None:
        value, passed, label, explanation, evidence, span_id = told
        more = {"label": label, "explanation": explanation, "span_id": span_id, "evidence": evidence}
        record["score"] = {"value": value, "passed": passed}
        record["score"] |= {name: known for name, known in more.items() if known is not None}
    return record


def decision_from_json(record: Mapping[str, Any]) -> Decision:
    """The decision that `decision_to_json` wrote.

    Raises:
        ValueError: it is not such a record; the message names the field.
    """
    try:
        kind = record["decision"]
        if kind not in DECISION_KINDS:
            raise ValueError(f"decision: {kind!r} is not one of {', '.join(DECISION_KINDS)}")
        score = record.get("score")
        return Decision(
            scorer=str(record["scorer"]),
            evaluator_id=str(record["evaluator_id"]),
            decision=kind,
            reason=str(record["reason"]),
            probability=float(record["probability"]),
            rule=str(record["rule"]),
            score=None if score is None else _score_from_json(score),
            span_id=record.get("span_id"),
            detail=str(record.get("detail", "")),
        )
    except KeyError as error:
        raise ValueError(f"a decision without {error.args[0]!r}") from None
    except (TypeError, AttributeError) as error:
        raise ValueError(f"not a decision: {error}") from None


def evidence_to_json(item: Evidence) -> dict[str, Any]:
    record: dict[str, Any] = {"start": item.start, "end": item.end, "type": item.type}
    if item.text:
        record["text"] = item.text
    return record


def _score_from_json(record: Mapping[str, Any]) -> Score:
    return Score(
        value=None if record["value"] is None else float(record["value"]),
        passed=record["passed"],
        label=record.get("label"),
        explanation=record.get("explanation"),
        evidence=tuple(
            Evidence(int(item["start"]), int(item["end"]), str(item["type"]), str(item.get("text", "")))
            for item in record.get("evidence", ())
        ),
        span_id=record.get("span_id"),
    )
