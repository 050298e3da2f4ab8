"""Scores rows of a data set with the code that runs online."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from collector.core.telemetry import Telemetry
from collector.sample import Admission
from scorers.base import Scorer
from scorers.ledger import Decision, evidence_to_json
from scorers.rows import BadRow, session_of, trace_of
from scorers.runner import Runner

_EVERYTHING = Admission(unit=0.0, rate=1.0, upstream=1.0, rule="offline")


def score_rows(scorer: Scorer, rows: Iterable[object]) -> Iterator[dict[str, Any]]:
    """One result a row, in order. What cannot be scored has its reason in `error` and no score."""
    runner = Runner([scorer.configured()], Telemetry())
    try:
        for row in rows:
            identity = row.get("id") if isinstance(row, dict) else None
            try:
                if isinstance(row, BadRow):
                    raise row
                if scorer.target == "session":
                    decisions = runner.evaluate_session((session_of(row), _EVERYTHING, ()))
                else:
                    decisions = runner.evaluate(trace_of(row, scorer), _EVERYTHING)
            except BadRow as problem:
                yield _result(scorer, identity, error=str(problem))
            else:
                yield _from_decisions(scorer, identity, decisions)
    finally:
        runner.close()


def parse_line(line: bytes) -> object:
    """The row of a line, or why it is none; `score_rows` turns that into an error row in its place."""
    try:
        return orjson.loads(line)
    except ValueError as error:
        return BadRow(f"not JSON: {error}")


def _from_decisions(scorer: Scorer, identity: object, decisions: list[Decision]) -> dict[str, Any]:
    """One row has one result: of several scores (of operations) the worst."""
    scores = [decision.score for decision in decisions if decision.score is not None]
    if not scores:
        decision = decisions[0]
        return _result(scorer, identity, error=f"{decision.decision}: {decision.detail or decision.reason}")
    valued = [score for score in scores if score.value is not None]
    sign = 1 if scorer.better == "higher" else -1
    worst = min(valued, key=lambda score: sign * (score.value or 0.0)) if valued else scores[0]
    return {
        **_result(scorer, identity),
        "score": worst.value,
        "passed": worst.passed,
        "label": worst.label,
        "explanation": worst.explanation,
        "evidence": [evidence_to_json(item) for item in worst.evidence],
    }


def _result(scorer: Scorer, identity: object, error: str | None = None) -> dict[str, Any]:
    return {
        "id": identity,
        "score": None,
        "better": scorer.better,
        "passed": None,
        "label": None,
        "explanation": None,
        "evidence": [],
        "error": error,
    }
