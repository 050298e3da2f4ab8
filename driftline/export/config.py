"""What leaves continuously, and where to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from collector.core.settings import Duration, Settings
from collector.kafka_client import TOPIC, KafkaClientConfig


class KafkaExportConfig(KafkaClientConfig):
    """Topics for scores and changes, one JSON object a message."""

    client: ClassVar[str] = "KafkaProducer"
    ours: ClassVar[Mapping[str, str | None]] = {
        "bootstrap_servers": "brokers",
        **dict.fromkeys(("acks", "enable_idempotence", "key_serializer", "value_serializer", "transactional_id")),
    }

    scores: str | None = Field("driftline-scores", pattern=TOPIC, description="topic of scores; null: none")
    changes: str | None = Field("driftline-changes", pattern=TOPIC, description="topic of changes; null: none")
    options: Mapping[str, Any] = Field(
        default={},
        description="more settings of kafka-python's KafkaProducer; passwords as {env: NAME} or {file: PATH}",
    )

    @model_validator(mode="after")
    def _some_topic(self) -> "KafkaExportConfig":
        if self.scores is None and self.changes is None:
            raise ValueError("scores and changes are both null: there is nothing to write")
        if self.scores == self.changes:
            raise ValueError(f"scores and changes are both {self.scores!r}; they need a topic each")
        return self


class ParquetExportConfig(Settings):
    """Parquet files by day; needs `driftline[parquet]`."""

    path: Path = Field(description="the folder; made if it is missing")
    every: Duration = Field(300.0, gt=0, description="a file is written at least this often, if there is anything")
    max_rows: int = Field(50_000, ge=1, description="a file is written once so many rows wait for it")

    @field_validator("path")
    @classmethod
    def _names_a_folder(cls, path: Path) -> Path:
        if path.exists() and not path.is_dir():
            raise ValueError(f"'{path}' is a file; a folder is needed")
        return path


class ExportConfig(Settings):
    """Scores and changes for a warehouse, as they come about."""

    kafka: KafkaExportConfig | None = Field(None, description="write them to Kafka topics; null: do not")
    parquet: ParquetExportConfig | None = Field(None, description="write them to Parquet files; null: do not")
    unscored: bool = Field(False, description="also candidates that got no score, with the reason")
