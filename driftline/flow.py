"""What a configuration makes of what comes in: the stages, everything that they are made of, and words for people.

A running service can be given another flow (`driftline.reload`); what stays meanwhile is its `Ground`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from alerts.config import build_deliverer
from alerts.events import EventExporter
from alerts.push import Pusher
from alerts.remote_write import RemoteWriter
from alerts.rules.config import check_objectives
from collector.assemble import Assembler
from collector.core.clock import Clock
from collector.core.engine import CHANGES, DECISIONS, SCORES, Engine
from collector.core.telemetry import Telemetry
from collector.prices import load_prices
from collector.redaction.config import attribute_lists
from collector.redaction.redactor import Redactor
from collector.sample import Sampler
from collector.sessions import Sessions
from collector.slices import SliceReader
from collector.wire.decode import DecodeLimits
from drift.base import Metric
from drift.monitor import Watcher
from driftline.config import Config
from driftline.evaluate import Evaluator
from driftline.evaluate_session import SessionEvaluator
from driftline.export.build import export_stages
from driftline.gate_metric import Comparable
from driftline.outputs import Outputs
from driftline.pipeline import Stage
from driftline.rollouts import Rollouts, gate_metrics
from driftline.score_route import ScoreRoute
from driftline.stages.notify import NotifyStage
from driftline.stages.score import ScoreStage
from driftline.stages.session import SessionStage
from driftline.stages.view import ViewStage
from driftline.stages.watch import WatchStage
from driftline.versions import VersionMetric
from driftline.view import View
from driftline.web.source import ScorerFacts
from scorers.apart import Apart
from scorers.base import Scorer
from scorers.loading import load_scorers
from scorers.rules.rule import load_rules
from scorers.runner import Runner

_TIDY_SECONDS = 60.0
_SHOW_SECONDS = 2.0

Role: TypeAlias = Literal["all", "receive", "score", "watch"]
"""What a process does."""


@dataclass(frozen=True)
class Ground:
    """What a service stands on, for as long as it runs."""

    engine: Engine
    view: View
    telemetry: Telemetry
    clock: Clock
    redactor: Redactor
    role: Role


@dataclass(frozen=True)
class Flow:
    """See the module.

    Attributes:
        stages: in the order of the flow.
        closing: what to call once the stages have stopped.
        scorers: what is scored, for people.
        monitors: what is watched, a line of words each.
        rollouts: what compares new versions.
        pusher: what sends measurements as OTLP metrics.
        writer: what sends them by remote write.
    """

    stages: Sequence[Stage]
    closing: Sequence[Callable[[], None]]
    scorers: Sequence[ScorerFacts]
    monitors: Sequence[str]
    rollouts: Rollouts
    pusher: Pusher
    writer: RemoteWriter


def plan_flow(config: Config, telemetry: Telemetry, clock: Clock) -> Callable[[Ground], Flow]:
    """Load everything that can be wrong with a configuration.

    Returns:
        What lays the flow, and cannot fail any more.

    Raises:
        UserError: a scorer, detector or notifier cannot be had as configured.
    """
    scorers, metrics = load_parts(config)
    new_watcher = partial(Watcher, config.monitors, config.false_pages, metrics, telemetry, config.base)
    new_watcher()  # a wrong monitor is an error now, not when its partition comes
    deliverer = build_deliverer(config.alerts, telemetry, clock=clock, base=config.base, units=units(scorers))
    prices = load_prices(config.prices, config.base)
    sampler = Sampler(config.sample)
    entries = zip(scorers, config.scorers, strict=False)  # the scorers of `rules` come after
    own = [(one, entry) for one, entry in entries if not one.shipped and entry.isolation == "process"]
    apart = Apart(own, config.base, telemetry)

    def lay(ground: Ground) -> Flow:
        engine, view = ground.engine, ground.view
        runner = Runner(scorers, telemetry, clock, config.shed, apart)
        events = EventExporter(config.events, telemetry, clock) if config.events.otlp_http is not None else None
        reader = f".{view.identity}" if config.cluster is not None else ""
        route = ScoreRoute(config.monitors, partial(engine.partitions, SCORES))
        outputs = Outputs(ground.redactor, attribute_lists(config.redact), config.slices)
        slices, limits = SliceReader(config.slices), DecodeLimits(value_bytes=config.assemble.max_value)
        evaluator = Evaluator(sampler, slices, runner, route, outputs, telemetry, events, prices, limits)
        of_sessions = SessionEvaluator(sampler, runner, route, outputs, telemetry, events)
        assembler, sessions = (
            partial(Assembler, config.assemble, telemetry),
            partial(Sessions, config.assemble, telemetry),
        )
        tidy = Tidy(view, config.store.retention, clock, telemetry)
        stages: dict[Role, list[Stage]] = {
            "score": [
                ScoreStage(engine, assembler, sampler, evaluator, clock, telemetry),
                *([SessionStage(engine, sessions, of_sessions, clock, telemetry)] if runner.gathers_sessions else []),
            ],
            "watch": [
                WatchStage(engine, new_watcher, route, telemetry),
                NotifyStage(engine, deliverer, clock, telemetry),
                ViewStage(engine, DECISIONS, view.add_sheets, tidy, telemetry, view.is_new_to(DECISIONS), reader),
                ViewStage(engine, CHANGES, view.add_changes, tidy, telemetry, view.is_new_to(CHANGES), reader),
                *export_stages(config.export, engine, clock, telemetry),
            ],
        }
        ours = [stage for part, some in stages.items() if ground.role in ("all", part) for stage in some]
        closing = [runner.close, *([events.close] if events is not None else [])]
        rollouts = Rollouts(config.gate, gate_metrics(config.gate, comparables(scorers)), ground.view, telemetry)
        pusher = Pusher(config.metrics, telemetry, clock)
        writer = RemoteWriter(config.metrics.remote_write, telemetry, clock)
        return Flow(ours, closing, facts(scorers), monitors_in_words(config), rollouts, pusher, writer)

    return lay


def load_parts(config: Config) -> tuple[list[Scorer], dict[str, Metric]]:
    """The scorers, and what monitors need to know of them.

    Raises:
        UserError: with every scorer that cannot be had, or every objective that none of them can tell of.
    """
    scorers = load_scorers(config.scorers, config.base)
    scorers += load_rules(config.rules, scorers)
    judging = {scorer.name for scorer in scorers if scorer.passing is not None}
    check_objectives(config.objectives, {scorer.name for scorer in scorers}, judging)
    gate_metrics(config.gate, comparables(scorers))
    return scorers, {scorer.name: metric(scorer) for scorer in scorers}


def metric(scorer: Scorer) -> Metric:
    """A scorer as monitors see it; an infinite end of its range is no bound."""
    low, high = (bound if math.isfinite(bound) else None for bound in scorer.score_range)
    return Metric(scorer.name, low, high, scorer.better, scorer.embeds)


def units(scorers: Sequence[Scorer]) -> dict[str, str]:
    return {scorer.name: scorer.score_unit for scorer in scorers if scorer.score_unit != "ratio"}


def facts(scorers: Sequence[Scorer]) -> list[ScorerFacts]:
    return [
        ScorerFacts(
            *(one.name, one.doc, one.passing.text if one.passing else "", one.better, one.score_unit),
            *(*one.score_range, one.values, one.evaluator_id),
        )
        for one in scorers
    ]


def comparables(scorers: Sequence[Scorer]) -> list[Comparable]:
    """As a gate sees them."""
    return [Comparable(one.name, one.passing is not None, one.values, *one.score_range, one.better) for one in scorers]


def monitors_in_words(config: Config) -> list[str]:
    return [
        f"{monitor.watch} by {', '.join(monitor.by) or 'everything together'} ({monitor.detector})"
        for monitor in config.monitors
    ]


class Tidy:
    """Called after each batch and while there is none: every few seconds shows which versions the view knows, once a
    minute makes the view forget what is older than `seconds`."""

    def __init__(self, view: View, seconds: float, clock: Clock, telemetry: Telemetry) -> None:
        self._view, self._seconds, self._clock = view, seconds, clock
        self._versions = VersionMetric(telemetry)
        self._forget_at = clock.monotonic() + _TIDY_SECONDS
        self._show_at = 0.0

    def __call__(self) -> None:
        now = self._clock.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + _TIDY_SECONDS
            self._view.forget_before(self._clock.now_ns() - round(self._seconds * 1e9))
        if now >= self._show_at:
            self._show_at = now + _SHOW_SECONDS
            self._versions.show(self._view.versions())
