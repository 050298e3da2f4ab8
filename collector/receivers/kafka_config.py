"""Which Kafka topics to read, and how to reach them."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.kafka_client import TOPIC, KafkaClientConfig
from collector.receivers.senders import TenantNames


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else [] if value is None else value


Topics = Annotated[
    Sequence[Annotated[str, StringConstraints(pattern=TOPIC)]],
    BeforeValidator(_as_list, json_schema_input_type=str | list[str] | None),
]
"""A topic, a list of them, or null for none."""


class KafkaConfig(KafkaClientConfig):
    """The topics that hold OTLP: a request, or one of the pieces in `collector.wire.forms`, a message."""

    traces: Topics = Field(default=("otlp_spans",), description="topic of traces, or a list of them; null: none")
    logs: Topics = Field(default=("otlp_logs",), description="topic of logs, or a list of them; null: none")
    encoding: Literal["otlp_proto", "otlp_json"] = Field(
        default="otlp_proto", description="of the messages, as the Collector's Kafka exporter calls it"
    )
    tenants: TenantNames | None = Field(
        default=None, description="several tenants, named by a header of the message; null: there is but one"
    )
    group: str = Field(default="driftline", min_length=1, description="consumer group; members share the partitions")
    dead_letter: str | None = Field(
        default=None, pattern=TOPIC, description="topic for messages that cannot be read; null: a table in the store"
    )

    @model_validator(mode="after")
    def _some_topic(self) -> "KafkaConfig":
        if not self.traces and not self.logs:
            raise ValueError("traces and logs are both null: there is nothing to read")
        twice = [topic for topic, count in Counter([*self.traces, *self.logs]).items() if count > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} is named twice; traces and logs need topics of their own")
        return self

    def kinds(self) -> dict[str, str]:
        """The kind of each topic to read."""
        return dict.fromkeys(self.traces, TRACES_KIND) | dict.fromkeys(self.logs, EVENTS_KIND)
