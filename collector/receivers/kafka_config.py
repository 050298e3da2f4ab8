"""Which Kafka topics to read, and how to reach them."""

import re
from collections.abc import Container, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, TypeAdapter, field_validator, model_validator

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.settings import Secret, Settings

_BROKER = re.compile(r"([A-Z_]+://)?(\[[0-9A-Fa-f:]+\]|[^\s:,/\[\]]+)(:[0-9]{1,5})?")
TOPIC = r"^[A-Za-z0-9._-]{1,249}$"
_OURS = {
    "bootstrap_servers": "kafka.brokers",
    "group_id": "kafka.group",
    "enable_auto_commit": None,
    "auto_commit_interval_ms": None,
    "consumer_timeout_ms": None,
    "key_deserializer": None,
    "value_deserializer": None,
}
_SECRETS = ("sasl_plain_password", "ssl_password")
_SECRET: TypeAdapter[SecretStr] = TypeAdapter(Secret)


def _hosts_and_ports(brokers: Sequence[str]) -> Sequence[str]:
    for broker in brokers:
        if not _BROKER.fullmatch(broker):
            raise ValueError(f"{broker!r} is not HOST:PORT, such as kafka-1.internal:9092")
    return brokers


Brokers = Annotated[Sequence[str], AfterValidator(_hosts_and_ports)]
"""Where some brokers are."""


def checked_options(
    options: Mapping[str, Any], client: str, known: Container[str], ours: Mapping[str, str | None]
) -> dict[str, Any]:
    """`options` of a kafka-python client, with passwords as secrets.

    Args:
        client: its class, for messages.
        known: the settings it has.
        ours: settings that are not to be given here, with the configuration key that gives them (None: none does).

    Raises:
        ValueError: a setting that is not known or not to be given, or a password in plain text.
    """
    checked: dict[str, Any] = {}
    for name, value in options.items():
        if name in ours:
            instead = ours[name]
            raise ValueError(f"{name} is " + (f"set by {instead}" if instead else "not yours to set"))
        if name not in known:
            raise ValueError(f"{name} is not a setting of kafka-python's {client}")
        is_secret = name in _SECRETS or (isinstance(value, dict) and set(value) in ({"env"}, {"file"}))
        checked[name] = _SECRET.validate_python(value) if is_secret else value
    return checked


def in_the_clear(options: Mapping[str, Any]) -> dict[str, Any]:
    """Checked options as the client wants them. For kafka-python only: never to be shown."""
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in options.items()
    }


class KafkaConfig(Settings):
    """The topics that hold OTLP requests, one request a message."""

    brokers: Brokers = Field(min_length=1, description="HOST:PORT of some brokers; they know the others")
    traces: str | None = Field(default="otlp_spans", pattern=TOPIC, description="topic of traces; null: none")
    logs: str | None = Field(default="otlp_logs", pattern=TOPIC, description="topic of logs; null: none")
    encoding: Literal["otlp_proto", "otlp_json"] = Field(
        default="otlp_proto", description="of the messages, as the Collector's Kafka exporter calls it"
    )
    group: str = Field(default="driftline", min_length=1, description="consumer group; members share the partitions")
    dead_letter: str | None = Field(
        default=None, pattern=TOPIC, description="topic for messages that cannot be read; null: a table in the store"
    )
    options: Mapping[str, Any] = Field(
        default={},
        description="more settings of kafka-python's KafkaConsumer; passwords as {env: NAME} or {file: PATH}",
    )

    @field_validator("options")
    @classmethod
    def _known_options(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        from kafka import KafkaConsumer  # 15 MB that a service without Kafka need not carry

        return checked_options(options, "KafkaConsumer", KafkaConsumer.DEFAULT_CONFIG, _OURS)

    @model_validator(mode="after")
    def _some_topic(self) -> "KafkaConfig":
        if self.traces is None and self.logs is None:
            raise ValueError("traces and logs are both null: there is nothing to read")
        if self.traces == self.logs:
            raise ValueError(f"traces and logs are both {self.traces!r}; they need a topic each")
        return self

    def kinds(self) -> dict[str, str]:
        """The kind of each topic to read."""
        topics = {self.traces: TRACES_KIND, self.logs: EVENTS_KIND}
        return {topic: kind for topic, kind in topics.items() if topic is not None}

    def client_options(self) -> dict[str, Any]:
        """`options` with their secrets in the clear, for kafka-python only."""
        return in_the_clear(self.options)
