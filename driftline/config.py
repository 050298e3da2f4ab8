"""The document: each part's own configuration, composed; from YAML and the environment, every error with its path."""

import ipaddress
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from alerts.config import AlertsConfig
from alerts.events import EventsConfig
from collector.assemble import AssembleConfig
from collector.core.errors import UserError
from collector.core.settings import Settings
from collector.engines.sqlite import StoreConfig
from collector.receivers.kafka import KafkaConfig
from collector.receivers.listen import ReceiveConfig
from collector.sample import SampleConfig
from collector.slices import DEFAULT_SLICES, SlicePath
from drift.budget import FalsePages, parse_false_pages
from drift.monitor import MonitorConfig
from scorers.runner import ScorerConfig

ENV_PREFIX = "DRIFTLINE_"
_ENV_SEPARATOR = "__"

DEFAULT_SCORERS = (
    *("groundedness", "refusal", "schema_conformance", "tool_call_validity", "repeated_calls"),
    *("prompt_injection", "context_injection", "pii", "secrets", "latency", "tokens", "error"),
)
DEFAULT_WATCHED = ("groundedness", "refusal", "schema_conformance", "tool_call_validity", "error")


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:4318`, `[::1]:4318` or `localhost:0`.

    Raises:
        ValueError: it is not HOST:PORT.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{address!r} is not HOST:PORT, such as 127.0.0.1:4318")
    return host.strip("[]"), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_address(address: str) -> str:
    split_address(address)
    return address


Address = Annotated[str, AfterValidator(_check_address)]
Budget = Annotated[FalsePages, BeforeValidator(parse_false_pages, json_schema_input_type=str)]


class ListenConfig(ReceiveConfig):
    """Where to listen; null switches a listener off."""

    otlp_http: Address | None = "127.0.0.1:4318"
    otlp_grpc: Address | None = "127.0.0.1:4317"
    web: Address | None = "127.0.0.1:8321"
    insecure: bool = Field(False, description="listen beyond this machine although anybody may then send or look")

    @model_validator(mode="after")
    def _loopback_only(self) -> "ListenConfig":
        open_doors = ["web"] if self.token is not None else ["otlp_http", "otlp_grpc", "web"]
        for name in open_doors:
            address = getattr(self, name)
            if address is not None and not self.insecure and not _is_loopback(split_address(address)[0]):
                raise ValueError(
                    f"{name}: {address} is reachable from other machines and asks nobody who they are; use a "
                    "loopback address, set a token (OTLP only), or say insecure: true"
                )
        return self


class Config(Settings):
    """Everything that can be set; without a file, all of it has defaults that run on one machine."""

    listen: ListenConfig = ListenConfig()
    store: StoreConfig = StoreConfig()
    kafka: KafkaConfig | None = None
    assemble: AssembleConfig = AssembleConfig()
    slices: Mapping[str, SlicePath] = DEFAULT_SLICES
    sample: SampleConfig = SampleConfig()
    scorers: Sequence[ScorerConfig] = tuple(ScorerConfig(use=name) for name in DEFAULT_SCORERS)
    monitors: Sequence[MonitorConfig] = tuple(MonitorConfig(watch=name, by=("service",)) for name in DEFAULT_WATCHED)
    false_pages: Budget = parse_false_pages("1 per week")
    alerts: AlertsConfig = AlertsConfig()
    events: EventsConfig = EventsConfig()
    _base: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def base(self) -> Path:
        """The folder that relative paths of plug-ins start from: the configuration file's."""
        return self._base

    @field_validator("slices")
    @classmethod
    def _service_is_a_slice(cls, slices: Mapping[str, str]) -> Mapping[str, str]:
        for name in slices:
            if not name.isidentifier():
                raise ValueError(f"{name!r} is not a name made of letters, digits and _")
        return {"service": DEFAULT_SLICES["service"], **slices}

    @model_validator(mode="after")
    def _monitors_use_slices(self) -> "Config":
        problems = [
            f"monitors[{number}].by: {name!r} is not one of the slices ({', '.join(self.slices)})"
            for number, monitor in enumerate(self.monitors)
            for name in monitor.by
            if name not in self.slices
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def load_config(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration of a file (or the defaults), with `DRIFTLINE_SECTION__KEY` of the environment on top.

    Raises:
        UserError: with one line for every wrong value.
    """
    document = _read(path) if path is not None else {}
    _overlay(document, environ)
    if path is None or "monitors" not in document:
        _default_monitors(document)
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        where = f"{path}: " if path is not None else ""
        raise UserError(*(where + problem for problem in describe(error))) from None
    if path is not None:
        config._base = path.resolve().parent
    return config


def describe(error: ValidationError) -> list[str]:
    """One line a problem: the path of the value, the value, what is allowed."""
    return [_describe(problem) for problem in error.errors(include_url=False)]


def _describe(problem: Any) -> str:
    path = ""
    for part in problem["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "there is no such key"
    elif problem["type"] != "value_error" and isinstance(problem.get("input"), str | int | float | bool):
        message = f"{problem['input']!r}: {message}"
    return f"{path}: {message}" if path else message


def _read(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise UserError(f"{path}: must be a mapping of sections such as `listen:` and `scorers:`")
    return loaded


def _overlay(document: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Set what the environment gives; values are YAML, so numbers, lists and null can be said."""
    for name, text in sorted(environ.items()):
        if not name.startswith(ENV_PREFIX):
            continue
        *sections, key = name.removeprefix(ENV_PREFIX).lower().split(_ENV_SEPARATOR)
        target = document
        for section in sections:
            inner = target.setdefault(section, {})
            if not isinstance(inner, dict):
                raise UserError(f"{name}: {section} is not a section, so {key} cannot be set in it")
            target = inner
        try:
            target[key] = yaml.safe_load(text)
        except yaml.YAMLError:
            target[key] = text


def _default_monitors(document: dict[str, Any]) -> None:
    """Without `monitors:`, watch those of the default set that are scored."""
    scorers = document.get("scorers")
    if isinstance(scorers, list):
        used = {
            entry if isinstance(entry, str) else entry.get("use") for entry in scorers if isinstance(entry, str | dict)
        }
        watched = [name for name in DEFAULT_WATCHED if name in used]
        document["monitors"] = [{"watch": name, "by": ["service"]} for name in watched]
