"""Which Kafka topics to read, and how to reach them."""

from typing import Literal

from pydantic import Field, model_validator

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.kafka_client import TOPIC, KafkaClientConfig


class KafkaConfig(KafkaClientConfig):
    """The topics that hold OTLP requests, one request a message."""

    traces: str | None = Field(default="otlp_spans", pattern=TOPIC, description="topic of traces; null: none")
    logs: str | None = Field(default="otlp_logs", pattern=TOPIC, description="topic of logs; null: none")
    encoding: Literal["otlp_proto", "otlp_json"] = Field(
        default="otlp_proto", description="of the messages, as the Collector's Kafka exporter calls it"
    )
    group: str = Field(default="driftline", min_length=1, description="consumer group; members share the partitions")
    dead_letter: str | None = Field(
        default=None, pattern=TOPIC, description="topic for messages that cannot be read; null: a table in the store"
    )

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
