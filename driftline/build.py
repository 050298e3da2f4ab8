"""The architecture as code: one line a stage, no logic.

receivers ─> spans ─> score ─> decisions ─> view
                        ├────> scores ─> watch ─> changes ─> notify, view
                        └────> turns ─> session ─> decisions, scores
                               decisions, changes ─> export
   receive              score             watch

The last line has the roles: one process does it all, or, where a cluster keeps the logs, each of several a part.
"""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal, TypeAlias

from alerts.config import build_deliverer
from alerts.events import EventExporter
from collector.assemble import Assembler
from collector.core.clock import Clock, SystemClock
from collector.core.engine import CHANGES, DECISIONS, SCORES, SPANS, TURNS, Engine
from collector.core.errors import StoreError, UserError
from collector.core.telemetry import Telemetry
from collector.engines.sqlite import SqliteEngine
from collector.engines.sqlite_damage import remove
from collector.prices import load_prices
from collector.redaction.config import attribute_lists, build_redactor
from collector.redaction.keys import read_key, read_or_make_key
from collector.redaction.redactor import Redactor
from collector.redaction.requests import RequestRedactor
from collector.sample import Sampler
from collector.sessions import Sessions
from collector.slices import SliceReader
from collector.wire.decode import DecodeLimits
from drift.base import Metric
from drift.monitor import Watcher
from driftline.config import Config
from driftline.evaluate import Evaluator
from driftline.evaluate_session import SessionEvaluator
from driftline.export.build import export_stages, stages_with_state
from driftline.network import Network
from driftline.outputs import Outputs
from driftline.pipeline import Stage
from driftline.score_route import ScoreRoute
from driftline.service import Service
from driftline.stages.notify import NotifyStage
from driftline.stages.score import ScoreStage
from driftline.stages.session import SessionStage
from driftline.stages.view import ViewStage
from driftline.stages.watch import WatchStage
from driftline.view import View, view_path
from driftline.web.source import ScorerFacts
from scorers.base import Scorer
from scorers.runner import Runner, load_scorers

_log = logging.getLogger(__name__)
_TIDY_SECONDS = 60.0

Role: TypeAlias = Literal["all", "receive", "score", "watch"]
"""What a process does."""


def build(config: Config, clock: Clock | None = None, role: Role = "all") -> Service:
    """A service as the configuration describes it, not yet started.

    Raises:
        UserError: a scorer, detector or notifier cannot be had as configured; or a role without a cluster.
        StoreError: the store cannot be opened.
    """
    if role != "all" and config.cluster is None:
        raise UserError(f"--role {role} is for several workers on a Kafka cluster, and `cluster` is not configured")
    clock = clock or SystemClock()
    telemetry = Telemetry()
    scorers, metrics = load_parts(config)
    new_watcher = partial(Watcher, config.monitors, config.false_pages, metrics, telemetry)
    new_watcher()  # a wrong monitor is an error now, not when its partition comes
    deliverer = build_deliverer(config.alerts, telemetry, clock=clock, base=config.base, units=units(scorers))
    prices = load_prices(config.prices, config.base)
    sampler = Sampler(config.sample)
    runner = Runner(scorers, telemetry, clock)
    events = EventExporter(config.events, telemetry, clock) if config.events.otlp_http is not None else None
    view = open_view(config)
    reader = f".{view.identity}" if config.cluster is not None else ""
    engine = open_engine(config, clock, telemetry)
    route = ScoreRoute(config.monitors, partial(engine.partitions, SCORES))
    redactor = open_redactor(config, telemetry)
    lists = attribute_lists(config.redact)
    outputs = Outputs(redactor, lists, config.slices)
    on_arrival = RequestRedactor(redactor, lists, telemetry) if config.redact.at == "receive" else None
    slices, limits = SliceReader(config.slices), DecodeLimits(value_bytes=config.assemble.max_value)
    evaluator = Evaluator(sampler, slices, runner, route, outputs, telemetry, events, prices, limits)
    of_sessions = SessionEvaluator(sampler, runner, route, outputs, telemetry, events)
    sessions = partial(Sessions, config.assemble, telemetry)
    tidy = Retention(view, config.store.retention, clock)
    stages: dict[Role, list[Stage]] = {
        "score": [
            ScoreStage(engine, partial(Assembler, config.assemble, telemetry), sampler, evaluator, clock, telemetry),
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
    ours = [stage for part, some in stages.items() if role in ("all", part) for stage in some]
    network = Network(
        config.listen, config.kafka, engine, telemetry, role in ("all", "receive"), role in ("all", "watch"), on_arrival
    )
    closing = [runner.close, *([events.close] if events is not None else [])]
    return Service(engine, view, telemetry, closing, ours, network, facts(scorers), monitors_in_words(config), redactor)


def open_engine(config: Config, clock: Clock, telemetry: Telemetry) -> Engine:
    """What keeps the logs and the state.

    Raises:
        UserError: the topics of the cluster are not as they must be.
        StoreError: it cannot be opened.
    """
    if config.cluster is None:
        return SqliteEngine(config.store, clock, telemetry)
    from collector.engines.kafka import KafkaEngine  # 15 MB that a service without Kafka need not carry

    return KafkaEngine(config.cluster, clock, telemetry, stateful_stages(config))


def open_redactor(config: Config, telemetry: Telemetry | None = None, read_only: bool = False) -> Redactor:
    """What replaces personal data and credentials, with the key that goes with the store.

    Args:
        read_only: make no key where there is none yet: tokens are then this process's own.

    Raises:
        UserError: the finder of names cannot be had.
        StoreError: the key can neither be read nor be made.
    """
    key = b""
    if config.redact.key is None:
        if config.cluster is not None:
            _log.warning("redact.key is not set: the tokens of every worker are its own, and cannot be joined")
        key = (read_key(config.store.path) or os.urandom(32)) if read_only else read_or_make_key(config.store.path)
    return build_redactor(config.redact, key, config.base, telemetry)


def stateful_stages(config: Config) -> Mapping[str, str]:
    """The stages that keep state, with the log that each reads."""
    return {"score": SPANS, "session": TURNS, "watch": SCORES, "notify": CHANGES, **stages_with_state(config.export)}


def load_parts(config: Config) -> tuple[list[Scorer], dict[str, Metric]]:
    """The scorers, and what monitors need to know of them.

    Raises:
        UserError: with every scorer that cannot be had.
    """
    scorers = load_scorers(config.scorers, config.base)
    return scorers, {scorer.name: metric(scorer) for scorer in scorers}


def metric(scorer: Scorer) -> Metric:
    """A scorer as monitors see it; an infinite end of its range is no bound."""
    low, high = (bound if math.isfinite(bound) else None for bound in scorer.score_range)
    return Metric(scorer.name, low, high, scorer.better)


def units(scorers: Sequence[Scorer]) -> dict[str, str]:
    return {scorer.name: scorer.score_unit for scorer in scorers if scorer.score_unit != "ratio"}


def facts(scorers: Sequence[Scorer]) -> list[ScorerFacts]:
    return [
        ScorerFacts(one.name, one.doc, one.passing.text if one.passing else "", one.better, one.score_unit)
        for one in scorers
    ]


def monitors_in_words(config: Config) -> list[str]:
    return [
        f"{monitor.watch} by {', '.join(monitor.by) or 'everything together'} ({monitor.detector})"
        for monitor in config.monitors
    ]


def open_view(config: Config) -> View:
    """The view beside the store. One that is left of a store file that is gone would be wrong: it is removed.

    Raises:
        StoreError: there is no such folder, and none can be made, or it may not be written; the store lost its content.
    """
    store = config.store.path
    path = view_path(store)
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        if config.cluster is None and not store.exists():
            remove(path)
        view = View(path)
        if config.cluster is None and store.exists() and store.stat().st_size == 0 and not view.empty:
            view.close()
            raise StoreError(f"store.path: {store} is empty, and was not: restore a backup, or delete it to begin anew")
    except OSError as error:
        raise StoreError(f"store.path: {store} cannot be had: {error}") from None
    return view


class Retention:
    """Called after each batch, makes the view forget what is older than `seconds`, once a minute at most."""

    def __init__(self, view: View, seconds: float, clock: Clock) -> None:
        self._view, self._seconds, self._clock = view, seconds, clock
        self._next = clock.monotonic() + _TIDY_SECONDS

    def __call__(self) -> None:
        if self._clock.monotonic() >= self._next:
            self._next = self._clock.monotonic() + _TIDY_SECONDS
            self._view.forget_before(self._clock.now_ns() - round(self._seconds * 1e9))
