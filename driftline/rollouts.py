"""Versions that come into use are compared with the ones they replace, while they do, as `driftline gate` would.

A version of a service is new if a hundred traces of the service came before its first. It is held against the version
that most of those traces were of, for `gate.lasts` of event time. Each look compares anew, but always from the same
first trace on: `max_traces` / 2 before the first of the new version. So the pairs of a look are those of the look
before it and more, as a verdict that holds however often one looks needs (`drift.gate`).
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from collector.core.errors import UserError
from collector.core.periodic import Periodic
from collector.core.telemetry import Gauge, Telemetry
from collector.slices import UNKNOWN
from driftline.gate import Answer, Question, compare
from driftline.gate_config import GateConfig
from driftline.gate_metric import Comparable, Wanted, known_metric, parse_metric
from driftline.records import Sheet
from driftline.view import View

_logger = logging.getLogger("driftline.gate")
_TRACES_BEFORE = 100
_VERDICTS = {"pass": 1.0, "undecided": 0.0, "fail": -1.0}
_LATEST_NS = 2**63 - 1
_BETTER = "How much better the new version is, by pass rate, or by mean as part of its range; below 0: worse"


def gate_metrics(config: GateConfig, scorers: Collection[Comparable]) -> list[Wanted]:
    """The metrics of a configuration, held against its scorers.

    Raises:
        UserError: everything that is wrong, with its path.
    """
    found: dict[str, Wanted] = {}
    problems = []
    for number, text in enumerate(config.metrics):
        try:
            wanted = known_metric(parse_metric(text), scorers, "")
            if wanted.name in found:
                raise UserError(f"{wanted.name!r} is given twice")
            found[wanted.name] = wanted
        except UserError as error:
            problems.append(f"gate.metrics[{number}]: {error.problems[0].removeprefix('metric: ')}")
    if problems:
        raise UserError(*problems)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Rollout:
    """A version of a service that came into use, and what is known of it by now."""

    service: str
    since_ns: int
    answer: Answer

    def to_json(self) -> dict[str, Any]:
        return {"service": self.service, "since_ns": self.since_ns, **self.answer.to_json()}


class Rollouts:
    """Looks every now and then, and shows what it found as gauges; `start` begins a thread, `stop` ends it."""

    def __init__(self, config: GateConfig, wanted: Sequence[Wanted], view: View, telemetry: Telemetry) -> None:
        self._config, self._view = config, view
        self._wanted = wanted
        self._lasts_ns = round(config.lasts * 1e9)
        self._began: dict[tuple[str, str], tuple[int, int, Question]] = {}  # since, from where, against what
        self.found: Sequence[Rollout] = ()
        self._looking = Periodic("driftline-gate", config.every, self._try)
        labels = ("service", "version", "baseline")
        self._verdict = telemetry.gauge(
            "driftline_gate_verdict", "Of a new version against the one before it: 1 pass, 0 undecided, -1 fail", labels
        )
        self._by_scorer: dict[str, Gauge] = {
            name: telemetry.gauge(f"driftline_gate_{name}", text, (*labels, "scorer"), unit=unit)
            for name, text, unit in (
                ("scorer_verdict", "The verdict on one scorer: 1 pass, 0 undecided, -1 fail", ""),
                ("pairs", "Pairs of traces, one of each version, that were compared", ""),
                ("difference_ratio", _BETTER, "ratio"),
                ("difference_lower_ratio", "Lower end of the 95% confidence sequence of the difference", "ratio"),
                ("difference_upper_ratio", "Upper end of the 95% confidence sequence of the difference", "ratio"),
            )
        }

    def start(self) -> None:
        if self._wanted:
            self._looking.start()

    def stop(self) -> None:
        self._looking.stop()

    def _try(self) -> None:
        try:
            self.look()
        except Exception as error:
            again = self._config.every
            _logger.error("versions could not be compared; the next try is in %g s: %s", again, error)
            _logger.debug("by", exc_info=error)

    def look(self) -> Sequence[Rollout]:
        """Compare what is new, by what the view holds now."""
        latest_ns = self._view.latest_ns()
        if latest_ns is None:
            return ()
        self._notice(max(latest_ns - self._lasts_ns, self._view.newest_since_ns(self._config.max_traces)))
        self.found = [
            Rollout(service, since_ns, compare(question, self._of_service(service, from_ns)))
            for service, (since_ns, from_ns, question) in self._newest().items()
            if latest_ns - since_ns <= self._lasts_ns
        ]
        self._show()
        return self.found

    def _notice(self, from_ns: int) -> None:
        """Remember when versions began, as long as they are seen: one that comes rarely begins only once."""
        seen: dict[str, Counter[str]] = {}
        began = self._began
        for sheet in self._view.sheets_between(from_ns, _LATEST_NS):
            slices = sheet["slices"]
            service, version = slices.get("service", UNKNOWN), slices.get(self._config.by, UNKNOWN)
            versions = seen.setdefault(service, Counter())
            is_new = version not in versions and versions.total() >= _TRACES_BEFORE and version != UNKNOWN
            before = next((name for name, _ in versions.most_common() if name != UNKNOWN), None) if is_new else None
            if before is not None and (service, version) not in began:
                since_ns = sheet["event_ns"]
                question = Question(self._config.by, before, version, self._wanted, self._config.alpha)
                start_ns = self._view.newest_since_ns(self._config.max_traces // 2, since_ns)
                began[service, version] = since_ns, start_ns, question
            versions[version] += 1
        self._began = {place: one for place, one in began.items() if place[1] in seen.get(place[0], ())}

    def _newest(self) -> dict[str, tuple[int, int, Question]]:
        """The version of each service that began last."""
        return {service: one for (service, _), one in sorted(self._began.items(), key=lambda item: item[1][0])}

    def _of_service(self, service: str, from_ns: int) -> Iterator[Sheet]:
        """The first `max_traces` of a service from a moment on."""
        every = self._view.sheets_between(from_ns, _LATEST_NS)
        return islice(
            (one for one in every if one["slices"].get("service", UNKNOWN) == service), self._config.max_traces
        )

    def _show(self) -> None:
        gauges = (self._verdict, *self._by_scorer.values())
        shown: dict[Gauge, dict[tuple[str, ...], float]] = {gauge: {} for gauge in gauges}
        for one in self.found:
            asked = one.answer.question
            labels = (one.service, asked.b, asked.a)
            shown[self._verdict][labels] = _VERDICTS[one.answer.verdict]
            for metric, told in one.answer.metrics.items():
                for name, value in (
                    ("scorer_verdict", _VERDICTS[told.verdict]),
                    ("pairs", float(told.pairs)),
                    ("difference_ratio", told.difference),
                    ("difference_lower_ratio", told.lower),
                    ("difference_upper_ratio", told.upper),
                ):
                    if value == value:  # not a number: nothing was compared yet
                        shown[self._by_scorer[name]][(*labels, metric)] = value
        for gauge, values in shown.items():
            for gone in gauge.values().keys() - values.keys():
                gauge.remove(*gone)
            for place, value in values.items():
                gauge.set(value, *place)
