"""The architecture as code: one line a stage, no logic.

receivers ─> spans ─> score ─> decisions ─> view
                        ├────> scores ─> watch ─> changes ─> notify, view
                        └────> turns ─> session ─> decisions, scores
                               decisions, changes ─> export
   receive              score             watch

The last line has the roles: one process does it all, or, where a cluster keeps the logs, each of several a part.
"""

import logging
import os
from collections.abc import Mapping

from collector.core.clock import Clock, SystemClock
from collector.core.engine import CHANGES, SCORES, SPANS, TURNS, Engine
from collector.core.errors import StoreError, UserError
from collector.core.telemetry import Telemetry
from collector.engines.sqlite import SqliteEngine
from collector.engines.sqlite_damage import remove
from collector.redaction.config import attribute_lists, build_redactor
from collector.redaction.keys import read_key, read_or_make_key
from collector.redaction.redactor import Redactor
from collector.redaction.requests import RequestRedactor
from driftline.config import Config
from driftline.export.build import stages_with_state
from driftline.flow import Ground, Role, plan_flow
from driftline.network import Network
from driftline.service import Service
from driftline.view import View, view_path

_log = logging.getLogger(__name__)


def build(config: Config, clock: Clock | None = None, role: Role = "all") -> Service:
    """A service as the configuration describes it, not yet started.

    Raises:
        UserError: a scorer, detector or notifier cannot be had as configured; or a role without a cluster.
        StoreError: the store cannot be opened.
    """
    if role != "all" and config.cluster is None:
        raise UserError(f"--role {role} is for several workers on a Kafka cluster, and `cluster` is not configured")
    clock = clock or SystemClock()
    telemetry = Telemetry(max_series=config.metrics.max_series)
    telemetry.count_folds()
    lay = plan_flow(config, telemetry, clock)
    view = open_view(config)
    engine = open_engine(config, clock, telemetry)
    redactor = open_redactor(config, telemetry)
    ground = Ground(engine, view, telemetry, clock, redactor, role)
    on_arrival = None
    if config.redact.at == "receive":
        on_arrival = RequestRedactor(redactor, attribute_lists(config.redact), telemetry)
    network = Network(
        config.listen, config.kafka, engine, telemetry, role in ("all", "receive"), role in ("all", "watch"), on_arrival
    )
    return Service(ground, lay(ground), network)


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
