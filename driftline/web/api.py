"""The JSON API: the same facts as the page, for programs."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from alerts.explain import Wording, explain
from collector.core.clock import Clock
from collector.core.errors import UserError
from drift.base import Change
from driftline.gate import DEFAULT_ALPHA, Question, compare
from driftline.gate_metric import known_metric, parse_metric
from driftline.records import Sheet
from driftline.web.query import LAST_NS, Refused, one_of, parameters, shown, trace_id, whole
from driftline.web.reading import MOST_CHANGES, by_evidence, ratio, read_changes
from driftline.web.source import SeriesStatus, Source

MOST_TRACES = 1000
MOST_SCORES = 10_000
MOST_SERIES = 10_000

_TRACE_FIELDS = (
    *("trace_id", "revision", "event_ns", "start_ns", "end_ns", "name", "session_id", "slices", "error", "incomplete"),
    *("dialects", "counts"),
)


class Api:
    """One method an address. Each raises Refused for what it cannot answer."""

    def __init__(self, source: Source, wording: Wording, clock: Clock) -> None:
        self._source = source
        self._wording = wording
        self._clock = clock

    def routes(self) -> Mapping[str, Callable[[Request], Response]]:
        return {
            "/api/status": self.status,
            "/api/changes": self.changes,
            "/api/changes/{change_id}": self.change,
            "/api/traces": self.traces,
            "/api/traces/{trace_id}": self.trace,
            "/api/funnel": self.funnel,
            "/api/series": self.series,
            "/api/scores": self.scores,
            "/api/gate": self.gate,
            "/api/rollouts": self.rollouts,
        }

    def status(self, request: Request) -> Response:
        parameters(request)
        health, readiness = self._source.health(), self._source.readiness()
        return answer(
            {
                "state": "failing" if health else "waiting" if readiness else "running",
                "health": health,
                "readiness": readiness,
                "now_ns": self._clock.now_ns(),
                "counts": self._source.counts(),
                "active_changes": len(read_changes(self._source.view).active),
                "addresses": dict(self._source.addresses),
                "scorers": [asdict(scorer) for scorer in self._source.scorers],
                "monitors": list(self._source.monitors),
            }
        )

    def changes(self, request: Request) -> Response:
        given = parameters(request, "status", "limit")
        wanted = one_of(given, "status", ("active", "resolved"))
        limit = whole(given, "limit", 100, 1, MOST_CHANGES)
        found = read_changes(self._source.view)
        chosen = [change for change in found.known if wanted in (None, change.status)]
        return answer({"changes": [self._change(one) for one in chosen[:limit]], "unreadable": found.unreadable})

    def change(self, request: Request) -> Response:
        parameters(request)
        change_id = request.path_params["change_id"]
        found = read_changes(self._source.view).find(change_id)
        if found is None:
            raise Refused(f"change {shown(change_id)} is not known; /api/changes lists those that are", 404)
        told = [asdict(delivery) for delivery in self._source.deliveries(found.id)]
        return answer({**self._change(found), "deliveries": told})

    def traces(self, request: Request) -> Response:
        limit = whole(parameters(request, "limit"), "limit", 100, 1, MOST_TRACES)
        return answer({"traces": [_summary(sheet) for sheet in self._source.view.recent(limit)]})

    def trace(self, request: Request) -> Response:
        parameters(request)
        wanted = trace_id(request.path_params["trace_id"])
        sheet = self._source.view.sheet(wanted)
        if sheet is None:
            raise Refused(f"trace {wanted} is not known: not arrived, not complete yet, or older than retention", 404)
        if continued_by := self._source.view.continued_by(wanted):
            sheet["continued_by"] = continued_by
        return answer(sheet)

    def funnel(self, request: Request) -> Response:
        parameters(request)
        names = ("scorer", "decision", "reason", "count")
        return answer({"funnel": [dict(zip(names, row, strict=True)) for row in self._source.view.funnel()]})

    def series(self, request: Request) -> Response:
        limit = whole(parameters(request, "limit"), "limit", 1000, 1, MOST_SERIES)
        every = by_evidence(self._source.series())
        return answer({"series": [_series(one, self._wording) for one in every[:limit]], "total": len(every)})

    def scores(self, request: Request) -> Response:
        given = parameters(request, "scorer", "since_ns", "limit")
        if "scorer" not in given:
            raise Refused(f"scorer is missing; allowed: {', '.join(self._scorers()) or 'none'}")
        scorer = one_of(given, "scorer", self._scorers())
        since_ns = whole(given, "since_ns", 0, 0, LAST_NS)
        limit = whole(given, "limit", 1000, 1, MOST_SCORES)
        return answer({"scores": self._source.view.scores(str(scorer), since_ns, limit)})

    def gate(self, request: Request) -> Response:
        given = parameters(request, "by", "a", "b", "metrics", "alpha", "since_ns")
        scorers = [scorer.comparable for scorer in self._source.scorers]
        judging = ",".join(one.name for one in scorers if one.judges)
        for name in ("a", "b"):
            if not given.get(name):
                raise Refused(f"{name} is missing: the versions to compare, such as a=v1 and b=v2")
        try:
            wanted = [parse_metric(one) for one in given.get("metrics", judging).split(",") if one]
            wanted = [known_metric(one, scorers) for one in wanted]
            alpha = float(given.get("alpha", DEFAULT_ALPHA))
            question = Question(given.get("by", "version"), given["a"], given["b"], wanted, alpha)
        except ValueError:
            raise Refused(f"alpha is {shown(given['alpha'])}; allowed: a number between 0 and 1") from None
        except UserError as error:
            raise Refused(str(error)) from None
        since_ns = whole(given, "since_ns", 0, 0, LAST_NS)
        return answer(compare(question, self._source.view.sheets_between(since_ns, LAST_NS)).to_json())

    def rollouts(self, request: Request) -> Response:
        parameters(request)
        return answer({"rollouts": [one.to_json() for one in self._source.rollouts()]})

    def _scorers(self) -> list[str]:
        """The configured scorers and those that only older scores name."""
        configured = [scorer.name for scorer in self._source.scorers]
        return [*configured, *sorted({row[0] for row in self._source.view.funnel()} - set(configured))]

    def _change(self, change: Change) -> dict[str, Any]:
        words = explain(change, self._wording)
        return {**asdict(change), "summary": words.summary, "description": words.description}


def answer(body: object, status_code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON; a number that is not finite is null."""
    return Response(orjson.dumps(body), status_code, headers, "application/json")


def _summary(sheet: Sheet) -> dict[str, Any]:
    """A sheet without explanations and evidence."""
    decisions = []
    for decision in sheet["decisions"]:
        score = decision.get("score") or {}
        brief = {name: decision[name] for name in ("scorer", "decision", "reason")}
        decisions.append({**brief, "value": score.get("value"), "passed": score.get("passed")})
    return {**{name: sheet[name] for name in _TRACE_FIELDS}, "decisions": decisions}


def _series(status: SeriesStatus, wording: Wording) -> dict[str, Any]:
    return {
        "monitor": status.monitor,
        "metric": status.metric,
        "statistic": status.statistic,
        "slice": dict(status.slice),
        "status": status.status,
        "points": status.points,
        "level": asdict(status.level) if status.level.n > 0 else None,  # no data is not a level
        "detector": status.detector,
        "evidence": status.evidence,
        "threshold": status.threshold,
        "evidence_ratio": ratio(status),
        "change_id": status.change_id,
    }
