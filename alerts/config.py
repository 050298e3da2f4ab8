"""The `alerts:` section of the configuration, and the deliverer that it describes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from alerts.base import Notifier
from alerts.deliver import Deliverer
from alerts.explain import Wording
from alerts.http import check_address
from alerts.limit import parse_rate_limit
from alerts.notifiers.alertmanager import Alertmanager
from alerts.notifiers.email import Email
from alerts.notifiers.log import Log
from alerts.notifiers.pagerduty import PagerDuty
from alerts.notifiers.slack import Slack
from alerts.notifiers.teams import Teams
from alerts.notifiers.webhook import Webhook
from collector.core.clock import Clock, SystemClock
from collector.core.component import load
from collector.core.errors import UserError
from collector.core.settings import Duration, Settings
from collector.core.telemetry import Telemetry

GROUP = "driftline.notifiers"


def _template(placeholder: str) -> AfterValidator:
    def check(value: str) -> str:
        check_address(value)
        if "{" + placeholder + "}" not in value:
            raise ValueError(f"{value!r} must contain {{{placeholder}}}, which is replaced by the id")
        return value

    return AfterValidator(check)


class PluginConfig(Settings):
    """A notifier of one's own: a class that is called with `options`."""

    use: str = Field(description="entry-point name, `module:Class` or `./file.py:Class`")
    options: Mapping[str, Any] = Field(default_factory=dict, description="what the class is called with")


class AlertsConfig(Settings):
    """Where changes are told, and how they are worded."""

    alertmanager: Alertmanager | None = Field(None, description="tell an Alertmanager; null: do not")
    webhook: Webhook | None = Field(None, description="post JSON to an address of yours; null: do not")
    slack: Slack | None = Field(None, description="post to a Slack channel; null: do not")
    pagerduty: PagerDuty | None = Field(None, description="open and resolve incidents in PagerDuty; null: do not")
    teams: Teams | None = Field(None, description="post cards to Microsoft Teams; null: do not")
    email: Email | None = Field(None, description="send e-mails; null: do not")
    log: bool = Field(True, description="one line of JSON per notification in the log of the service")
    plugins: Sequence[PluginConfig] = Field((), description="notifiers of your own")
    repeat: Annotated[Duration, Field(ge=60, description="between reminders of a change that lasts")] = 4 * 3600.0
    give_up: Annotated[Duration, Field(ge=0, description="how long a delivery is tried again")] = 6 * 3600.0
    labels: Mapping[str, str] = Field(
        default_factory=dict, description="added to every alert, such as severity or team"
    )
    trace_url: Annotated[str, _template("trace_id")] | None = Field(None, description="where a trace is shown")
    change_url: Annotated[str, _template("change_id")] | None = Field(None, description="where a change is shown")
    runbook_url: str | None = Field(None, description="sent along with every alert")

    def wording(self, units: Mapping[str, str] | None = None) -> Wording:
        """How changes are worded; `units` are those of the metrics that are no rates."""
        return Wording(self.trace_url, self.change_url, self.runbook_url, self.labels, units or {})


def build_deliverer(
    config: AlertsConfig,
    telemetry: Telemetry,
    *,
    clock: Clock | None = None,
    base: Path | None = None,
    units: Mapping[str, str] | None = None,
) -> Deliverer:
    """The deliverer that the configuration describes.

    Args:
        base: the folder that relative plug-in files start from.
        units: metric name to unit, for metrics that are no rates.

    Raises:
        UserError: a plug-in is missing or refuses its options, or two notifiers have one name.
    """
    return Deliverer(
        build_notifiers(config, base),
        config.wording(units),
        telemetry,
        repeat_seconds=config.repeat,
        give_up_seconds=config.give_up,
        clock=clock or SystemClock(),
    )


def build_notifiers(config: AlertsConfig, base: Path | None = None) -> list[Notifier]:
    """All notifiers of the configuration, in the order of the document.

    Raises:
        UserError: see `build_deliverer`.
    """
    people = (config.slack, config.pagerduty, config.teams, config.email)
    every = (config.alertmanager, config.webhook, *people, Log() if config.log else None)
    found: list[Notifier] = [notifier for notifier in every if notifier is not None]
    for number, plugin in enumerate(config.plugins):
        found.append(_plugin(plugin, f"alerts.plugins[{number}]", base))
    names = [notifier.name for notifier in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"alerts: more than one notifier is named {', '.join(twice)}")
    return found


def _plugin(plugin: PluginConfig, path: str, base: Path | None) -> Notifier:
    try:
        made = load(plugin.use, GROUP, base)
    except UserError as error:
        raise UserError(*(f"{path}.use: {problem}" for problem in error.problems)) from error
    if not callable(made):
        raise UserError(f"{path}.use: {plugin.use!r} is not a class or function that makes a notifier")
    try:
        notifier = made(**plugin.options)
    except ValidationError as error:
        # Told without its text, which repeats the values: one of them may be a secret in the wrong form.
        raise UserError(*(_refused(path, problem) for problem in error.errors(include_input=False))) from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}.options: {plugin.use!r} refuses them: {error}") from error
    if not isinstance(notifier, Notifier):
        raise UserError(f"{path}.use: {plugin.use!r} makes a {type(notifier).__name__} without `name` and `notify`")
    try:
        if (limit := getattr(notifier, "rate_limit", None)) is not None:
            parse_rate_limit(limit)
    except ValueError as error:
        raise UserError(f"{path}.use: {plugin.use!r} has a rate_limit that is none: {error}") from None
    return notifier


def _refused(path: str, problem: Any) -> str:
    where = ".".join(map(str, (f"{path}.options", *problem["loc"])))
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"
