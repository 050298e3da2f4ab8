"""How to reach a Kafka cluster: what everything that is a client of one is told."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field, SecretStr, TypeAdapter, field_validator

from collector.core.settings import Secret, Settings

TOPIC = r"^[A-Za-z0-9._-]{1,249}$"
"""What a topic may be called."""

_BROKER = re.compile(r"([A-Z_]+://)?(\[[0-9A-Fa-f:]+\]|[^\s:,/\[\]]+)(:[0-9]{1,5})?")
_SECRETS = ("sasl_plain_password", "ssl_password")
_SECRET: TypeAdapter[SecretStr] = TypeAdapter(Secret)


JOIN_SECONDS = 1.0
"""How long a poll should at least wait while `go_on_joining` says so.

kafka-python forgets the outcome of a rebalance that ends between two polls and joins again, which makes everybody else
do so too. With short polls that need never end.
"""


def go_on_joining(consumer: Any) -> bool:
    """Have the next poll of a group's consumer go on with a rebalance that is under way; whether there is one.

    kafka-python would not always: where it joins again because it has learned of partitions (others were added, or it
    had joined before it knew any), and a poll ends meanwhile, it has forgotten by the next that it joins. It would go
    on without heartbeats and without what the others agreed on, for ever.
    """
    from kafka.structs import MemberState

    if consumer.group_metadata().state != MemberState.REBALANCING:
        return False
    consumer._coordinator.request_rejoin()
    return True


class KafkaClientConfig(Settings):
    """Base of the sections that name a cluster."""

    client: ClassVar[str] = "KafkaConsumer"
    """The class of kafka-python whose settings may be given in `options`."""

    ours: ClassVar[Mapping[str, str | None]] = {
        "bootstrap_servers": "brokers",
        "group_id": "group",
        "enable_auto_commit": None,
        "auto_commit_interval_ms": None,
        "consumer_timeout_ms": None,
        "key_deserializer": None,
        "value_deserializer": None,
    }
    """Settings of kafka-python that may not be given in `options`, with the field that sets them if there is one."""

    brokers: Sequence[str] = Field(min_length=1, description="HOST:PORT of some brokers; they know the others")
    options: Mapping[str, Any] = Field(
        default={},
        description="more settings of kafka-python's KafkaConsumer, used for producers too where they have them; "
        "passwords as {env: NAME} or {file: PATH}",
    )

    @field_validator("brokers")
    @classmethod
    def _hosts_and_ports(cls, brokers: Sequence[str]) -> Sequence[str]:
        for broker in brokers:
            if not _BROKER.fullmatch(broker):
                raise ValueError(f"{broker!r} is not HOST:PORT, such as kafka-1.internal:9092")
        return brokers

    @field_validator("options")
    @classmethod
    def _known_options(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        import kafka  # 15 MB that a service without Kafka need not carry

        known = getattr(kafka, cls.client).DEFAULT_CONFIG
        checked: dict[str, Any] = {}
        for name, value in options.items():
            if name in cls.ours:
                field = cls.ours[name]
                raise ValueError(f"{name} is " + (f"set by {field}" if field else "not yours to set"))
            if name not in known:
                raise ValueError(f"{name} is not a setting of kafka-python's {cls.client}")
            is_secret = name in _SECRETS or (isinstance(value, dict) and set(value) in ({"env"}, {"file"}))
            checked[name] = _SECRET.validate_python(value) if is_secret else value
        return checked

    def client_options(self) -> dict[str, Any]:
        """`options` with their secrets in the clear, for kafka-python only."""
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in self.options.items()
        }
