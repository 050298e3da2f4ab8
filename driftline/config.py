"""The document: each part's own configuration, composed; from YAML and the environment, every error with its path."""

import os
from collections.abc import Hashable, Mapping, Sequence
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
from alerts.push import PushConfig
from alerts.rules.config import ObjectiveConfig
from collector.assemble_config import AssembleConfig
from collector.core.errors import UserError
from collector.core.settings import Settings, is_loopback
from collector.engines.kafka_config import KafkaEngineConfig
from collector.engines.sqlite import StoreConfig
from collector.prices import PricesConfig
from collector.receivers.kafka_config import KafkaConfig
from collector.receivers.listen import ReceiveConfig, TlsConfig
from collector.redaction.config import RedactConfig
from collector.sample import SampleConfig
from collector.slices import DEFAULT_SLICES, SlicePath
from drift.budget import FalsePages, parse_false_pages
from drift.monitor import MonitorConfig
from driftline import faults
from driftline.audit import AuditConfig
from driftline.export.config import ExportConfig
from driftline.gate_config import GateConfig
from scorers.loading import ScorerConfig
from scorers.rules.rule import RuleConfig
from scorers.shedding import ShedConfig

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


def _check_address(address: str) -> str:
    split_address(address)
    return address


Address = Annotated[str, AfterValidator(_check_address)]
ScorerEntry = Annotated[ScorerConfig, BeforeValidator(lambda entry: entry, json_schema_input_type=str | ScorerConfig)]
"""A mapping, or only a name: `ScorerConfig` takes both, and the schema for editors must say so."""

Budget = Annotated[FalsePages, BeforeValidator(parse_false_pages, json_schema_input_type=str)]


class ListenConfig(ReceiveConfig):
    """Where to listen; null switches a listener off."""

    otlp_http: Address | None = Field("127.0.0.1:4318", description="OTLP over HTTP; null: none")
    otlp_grpc: Address | None = Field("127.0.0.1:4317", description="OTLP over gRPC; null: none")
    web: Address | None = Field("127.0.0.1:8321", description="page, API, metrics and probes; null: none")
    hosts: Sequence[str] | None = Field(
        None,
        description="names that page and API answer to, and under which browsers may send, besides IP addresses and "
        "localhost; null: none more, or any where other machines can reach them",
    )
    web_tls: TlsConfig | None = Field(None, description="serve page, API, metrics and probes over TLS 1.2 or newer")
    insecure: bool = Field(False, description="listen beyond this machine although anybody may send or look")

    @property
    def web_hosts(self) -> Sequence[str] | None:
        """As `hosts`, in lower case; None: any."""
        return self._names(self.web) if self.hosts is None else self._names(None)

    @property
    def otlp_hosts(self) -> Sequence[str] | None:
        """The same of OTLP over HTTP, where only browsers are held to it, and only on this machine."""
        return self._names(self.otlp_http)

    def _names(self, address: str | None) -> Sequence[str] | None:
        if address is not None and not is_loopback(split_address(address)[0]):
            return None
        return [name.lower() for name in self.hosts or ()]

    @model_validator(mode="after")
    def _loopback_only(self) -> "ListenConfig":
        found: list[tuple[faults.Path, str]] = []
        for name, role, tls in (
            ("otlp_http", "ingest", self.tls),
            ("otlp_grpc", "ingest", self.tls),
            ("web", "read", self.web_tls),
        ):
            address = getattr(self, name)
            asks = any(one.role in (role, "admin") for one in self.tokens)
            knows = tls is not None and tls.client_ca is not None
            if address is None or asks or knows or self.insecure or is_loopback(split_address(address)[0]):
                continue
            problem = f"{address} is reachable from other machines and asks nobody who they are"
            allowed = f"use a loopback address, give listen.tokens one with role: {role}"
            found.append(((name,), f"{problem}; {allowed}, or say listen.insecure: true"))
        if self.tenants is None:
            for number, one in enumerate(self.tokens):
                if one.tenant is not None:
                    found.append(
                        (("tokens", number, "tenant"), f"{one.tenant!r}: there are no tenants; set listen.tenants")
                    )
        if found:
            raise faults.faults("listen", found)
        return self


class Config(Settings):
    """Everything that can be set; without a file, all of it has defaults that run on one machine."""

    listen: ListenConfig = ListenConfig()
    store: StoreConfig = StoreConfig()
    cluster: KafkaEngineConfig | None = Field(
        None, description="a Kafka cluster as the store of several workers; null: the SQLite file of `store`"
    )
    kafka: KafkaConfig | None = Field(None, description="read OTLP from Kafka topics too; null: do not")
    assemble: AssembleConfig = AssembleConfig()
    slices: Mapping[str, SlicePath] = Field(
        DEFAULT_SLICES, description="attributes to break everything down by, each with where a trace has it"
    )
    sample: SampleConfig = SampleConfig()
    shed: ShedConfig = ShedConfig()
    prices: PricesConfig = PricesConfig()
    scorers: Sequence[ScorerEntry] = Field(
        tuple(ScorerConfig(use=name) for name in DEFAULT_SCORERS),
        description="what traces are scored with: names, or mappings with the keys below",
    )
    rules: Sequence[RuleConfig] = Field((), description="an operator's rules, each a scorer by its id")
    monitors: Sequence[MonitorConfig] = Field(
        tuple(MonitorConfig(watch=name, by=("service",)) for name in DEFAULT_WATCHED),
        description="which scores are watched for changes",
    )
    false_pages: Budget = Field(
        parse_false_pages("1 per week"),
        description="how many false pages are accepted, over everything that is watched together",
    )
    objectives: Sequence[ObjectiveConfig] = Field(
        (), description="which share of the scores has to pass, for `driftline rules`"
    )
    gate: GateConfig = GateConfig()
    alerts: AlertsConfig = AlertsConfig()
    events: EventsConfig = EventsConfig()
    metrics: PushConfig = PushConfig()
    export: ExportConfig = ExportConfig()
    redact: RedactConfig = RedactConfig()
    audit: AuditConfig = AuditConfig()
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
    def _slices_are_known(self) -> "Config":
        known = ", ".join(self.slices)
        found: list[tuple[faults.Path, str]] = [
            (("monitors", number, "by"), f"{name!r} is not one of the slices ({known})")
            for number, monitor in enumerate(self.monitors)
            for name in monitor.by
            if name not in self.slices
        ]
        if self.gate.metrics and self.gate.by not in self.slices:
            found.append((("gate", "by"), f"{self.gate.by!r} is not one of the slices ({known})"))
        found += [
            (("sample", "keep", number, "when"), f"{rule.slice_name!r} is not one of the slices ({known})")
            for number, rule in enumerate(self.sample.keep)
            if rule.slice_name is not None and rule.slice_name not in self.slices
        ]
        found += [
            (("sample", "quota", "by"), f"{name!r} is not one of the slices ({known})")
            for name in (self.sample.quota.by if self.sample.quota is not None else ())
            if name not in self.slices
        ]
        if found:
            raise faults.faults("configuration", found)
        return self


def load_config(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration of a file (or the defaults), with `DRIFTLINE_SECTION__KEY` of the environment on top.

    Raises:
        UserError: with one line for every wrong value.
    """
    document = _read(path) if path is not None else {}
    came_from = _overlay(document, environ)
    if "monitors" not in document:
        _default_monitors(document)
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        lines = [f"{_origin(where, path, came_from)}{line}" for where, line in faults.describe(error, Config)]
        raise UserError(*lines) from None
    if path is not None:
        config._base = path.resolve().parent
    return config


def store_path(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the store is, as far as that can be told although the rest of the file may be wrong, or no YAML at all.

    Raises:
        UserError: it cannot: the file cannot be read, or it is `store` that is wrong.
    """
    document: dict[str, Any] = {}
    try:
        document = _read(path) if path is not None else {}
    except UserError:
        if path is None or (section := _section(path, "store")) is None:
            raise
        document["store"] = section
    _overlay(document, environ)
    try:
        return StoreConfig.model_validate(document.get("store") or {}).path
    except ValidationError:
        return load_config(path, environ).store.path  # it tells what is wrong with all


def _origin(where: faults.Path, path: Path | None, came_from: Mapping[faults.Path, str]) -> str:
    """Who must change something: a variable of the environment, or the file."""
    for overlaid, name in came_from.items():
        if where[: len(overlaid)] == overlaid:
            return f"{name}: "
    return f"{path}: " if path is not None else ""


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, where YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            line = key.start_mark.line + 1
            if key.value in seen:
                raise UserError(f"{key.value}: is given twice, in lines {seen[key.value]} and {line}")
            seen[key.value] = line
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  a SafeLoader
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: {_yaml_problem(error)}") from None
    except ValueError as error:  # such as 2026-13-01, which looks like a date
        raise UserError(f"{path}: has a value that is not what it looks like: {error}") from None
    except RecursionError:
        raise UserError(f"{path}: is nested too deeply") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise UserError(f"{path}: must be a mapping of sections such as `listen:` and `scorers:`")
    return loaded


def _section(path: Path, name: str) -> object:
    """A section of a file that is not YAML as a whole; None if it is not there, or is not YAML either."""
    found: list[str] = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{name}:"):
                found = [line]
            elif found and line[:1] not in ("", " ", "#"):
                break
            elif found:
                found.append(line)
        return (yaml.load("\n".join(found), _Loader) or {}).get(name)  # noqa: S506  a SafeLoader
    except (OSError, ValueError, RecursionError, UserError, yaml.YAMLError):
        return None


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return f"is not YAML{where}: {getattr(error, 'problem', None) or ' '.join(str(error).split())}"


def _overlay(document: dict[str, Any], environ: Mapping[str, str]) -> dict[faults.Path, str]:
    """Set what the environment gives; returns which variable each path came from.

    Values are YAML, so numbers, lists and null can be said. A name that is neither a section nor has the separator in
    it is somebody else's, such as the one that a secret is read from.
    """
    came_from: dict[faults.Path, str] = {}
    for name, text in sorted(environ.items()):
        path = tuple(name.removeprefix(ENV_PREFIX).lower().split(_ENV_SEPARATOR))
        if not name.startswith(ENV_PREFIX) or (len(path) == 1 and path[0] not in Config.model_fields):
            continue
        target = document
        for depth, section in enumerate(path[:-1], 1):
            if target.get(section) is None:
                target[section] = {}
                came_from[path[:depth]] = name
            target = target[section]
            if not isinstance(target, dict):
                inner = ".".join(path[:depth])
                raise UserError(f"{name}: {inner} is not a mapping, so {path[-1]} cannot be set in it")
        try:
            target[path[-1]] = yaml.safe_load(text)
        except yaml.YAMLError:
            target[path[-1]] = text
        came_from[path] = name
    return came_from


def _default_monitors(document: dict[str, Any]) -> None:
    """Without `monitors:`, watch those of the default set that are scored."""
    scorers = document.get("scorers")
    if isinstance(scorers, list):
        used = {
            entry if isinstance(entry, str) else entry.get("use") for entry in scorers if isinstance(entry, str | dict)
        }
        watched = [name for name in DEFAULT_WATCHED if name in used]
        document["monitors"] = [{"watch": name, "by": ["service"]} for name in watched]
