"""A configuration that is read again while the service runs: taken up as a whole, or refused as a whole.

Scorers, monitors, sampling, slices, prices and alerts are taken up. What is unchanged goes on: a scorer whose evaluator
id is the same has its history with every detector that watches it, and so has a monitor. Listeners and what keeps the
data are not: a file that changes those is refused, so that nothing seems to be in force that is not. Of the
listeners only tokens and certificates are: their files are read again.
"""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from collector.core import audit, component
from collector.core.errors import UserError
from collector.core.telemetry import Telemetry
from driftline.audit import changed_keys, user
from driftline.config import Config, load_config
from driftline.flow import plan_flow
from driftline.service import Service

_log = logging.getLogger(__name__)
RELOAD = "reload"
"""The question of `driftline reload`."""

_FIXED = ("listen", "store", "cluster", "kafka", "redact", "export", "audit")


@dataclass(frozen=True)
class Outcome:
    """What came of reading it again: keys that differ, or what is wrong, a line each; without either, nothing did."""

    changed: Sequence[str] = ()
    problems: Sequence[str] = ()
    renewed: Sequence[str] = ()
    """Scorers that are other evaluators than before: their options, code or data changed, also without a key."""


class Reloader:
    """Call `reload` when the file may have changed.

    Args:
        config: the one in force.
        path: of the file; None if there is none, and only the environment can be read again.
    """

    def __init__(self, service: Service, config: Config, path: Path | None) -> None:
        self._service, self._config, self._path = service, config, path
        telemetry = service.telemetry
        self._successful = telemetry.gauge(
            "driftline_config_last_reload_successful", "1 if the configuration was last read without an error, else 0."
        )
        self._time = telemetry.gauge(
            "driftline_config_last_reload_success_timestamp_seconds",
            "When the configuration in force was read.",
            unit="seconds",
        )
        self._succeeded(telemetry)

    def reload(self, by: str | None = None) -> Outcome:
        """Take up the configuration as it is now; if it cannot be, one line in the log says so too.

        Args:
            by: the user who asked, for the audit log; None: a signal, which does not tell.
        """
        who = {"user": user(), "by": "signal"} if by is None else {"user": by, "by": "command"}
        ground = self._service.ground
        component.forget_files()
        try:
            config = load_config(self._path)
            fixed = [name for name in _FIXED if _lasting(config, name) != _lasting(self._config, name)]
            if fixed:
                raise UserError(*(f"{name}: a running service does not take this up; restart it" for name in fixed))
            renew = self._service.network.read_again(config.listen)
            lay = plan_flow(config, ground.telemetry, ground.clock)
        except UserError as error:
            _log.error("the configuration is not taken up, the old one stays in force: %s", "; ".join(error.problems))
            return self._refused(who, error.problems)
        except Exception as error:  # a fault in code of the user's, or of ours: the service goes on as it is
            _log.exception("the configuration is not taken up, the old one stays in force")
            return self._refused(
                who, [f"it cannot be planned: {type(error).__name__}; the log of the service says where"]
            )
        before = {one.name: one.evaluator_id for one in self._service.scorers}
        self._service.replace(lay(ground))
        renewed = [
            one.name for one in self._service.scorers if before.get(one.name, one.evaluator_id) != one.evaluator_id
        ]
        renew()
        ground.telemetry.limit_series(config.metrics.max_series)
        changed = changed_keys(self._config, config)
        audit.record("config.reloaded", changed=changed, renewed=renewed, **who)
        self._config = config
        self._succeeded(ground.telemetry)
        _log.info("the configuration is taken up: %d scorers, %d monitors", len(config.scorers), len(config.monitors))
        return Outcome(changed, renewed=renewed)

    def _refused(self, who: dict[str, str], problems: Sequence[str]) -> Outcome:
        self._successful.set(0)
        audit.record("config.refused", **who, problems=len(problems))
        return Outcome(problems=problems)

    def _succeeded(self, telemetry: Telemetry) -> None:
        self._successful.set(1)
        self._time.set(self._service.ground.clock.now_ns() / 1e9)


class Requests:
    """Those who ask from other threads; one reload answers all that wait, on the thread that owns the service."""

    def __init__(self, reloader: Reloader, wanted: threading.Event) -> None:
        """
        Args:
            wanted: set when `work` is to be called; set without a question, it is a signal's.
        """
        self._reloader, self._wanted = reloader, wanted
        self._waiting: SimpleQueue[tuple[str, Future[dict[str, Any]]]] = SimpleQueue()
        self._closed = False

    def ask(self, by: str) -> dict[str, Any]:
        """Wait for a reload; `changed` and `problems`, or an `error` if the service ends before."""
        answer: Future[dict[str, Any]] = Future()
        self._waiting.put((by, answer))
        self._wanted.set()
        if self._closed:
            self.close()
        return answer.result()

    def work(self) -> None:
        """Reload, once."""
        asked = self._taken()
        by = ", ".join(sorted({name for name, _ in asked})) or None
        told: dict[str, Any] = {"error": "the configuration could not be read again; the log says more"}
        try:
            told = asdict(self._reloader.reload(by))
        finally:
            for _, answer in asked:
                answer.set_result(told)

    def close(self) -> None:
        """Whoever waits, or asks from now on, hears that the service ends."""
        self._closed = True
        for _, answer in self._taken():
            answer.set_result({"error": "it is about to end"})

    def _taken(self) -> list[tuple[str, "Future[dict[str, Any]]"]]:
        asked = []
        while True:
            try:
                asked.append(self._waiting.get_nowait())
            except Empty:
                return asked


def _lasting(config: Config, name: str) -> object:
    """What of a section a running service does not take up."""
    return config.listen.model_copy(update={"tokens": ()}) if name == "listen" else getattr(config, name)
