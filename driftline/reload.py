"""A configuration that is read again while the service runs: taken up as a whole, or refused as a whole.

Scorers, monitors, sampling, slices, prices and alerts are taken up. What is unchanged goes on: a scorer whose evaluator
id is the same has its history with every detector that watches it, and so has a monitor. Listeners and what keeps the
data are not: a file that changes those is refused, so that nothing seems to be in force that is not. Of the
listeners only tokens and certificates are: their files are read again.
"""

import logging
from pathlib import Path

from collector.core import audit, component
from collector.core.errors import UserError
from collector.core.telemetry import Telemetry
from driftline.audit import changed_keys, user
from driftline.config import Config, load_config
from driftline.flow import plan_flow
from driftline.service import Service

_log = logging.getLogger(__name__)
_FIXED = ("listen", "store", "cluster", "kafka", "redact", "export", "audit")


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

    def reload(self) -> bool:
        """Take up the configuration as it is now; False, with one line in the log, if it cannot be."""
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
            self._successful.set(0)
            audit.record("config.refused", user=user(), problems=len(error.problems))
            _log.error("the configuration is not taken up, the old one stays in force: %s", "; ".join(error.problems))
            return False
        self._service.replace(lay(ground))
        renew()
        ground.telemetry.limit_series(config.metrics.max_series)
        changed = changed_keys(self._config, config)
        audit.record("config.reloaded", user=user(), changed=changed)
        self._config = config
        self._succeeded(ground.telemetry)
        _log.info("the configuration is taken up: %d scorers, %d monitors", len(config.scorers), len(config.monitors))
        return True

    def _succeeded(self, telemetry: Telemetry) -> None:
        self._successful.set(1)
        self._time.set(self._service.ground.clock.now_ns() / 1e9)


def _lasting(config: Config, name: str) -> object:
    """What of a section a running service does not take up."""
    return config.listen.model_copy(update={"tokens": ()}) if name == "listen" else getattr(config, name)
