"""Which cluster keeps the logs, and how the topics there are to be."""

import importlib.util
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from collector.core.settings import Duration, Size
from collector.kafka_client import KafkaClientConfig

_NAME = r"^[A-Za-z0-9._-]{1,150}$"  # a topic's name is at most 249 characters, ours add to it
_CODECS = {"snappy": "snappy", "lz4": "lz4.frame", "zstd": "zstandard"}


INSTALL_CODECS = "pip install 'driftline[compression]' has snappy, lz4 and zstd"


class KafkaEngineConfig(KafkaClientConfig):
    """A Kafka cluster as the store of several workers, instead of one SQLite file."""

    ours: ClassVar[Mapping[str, str | None]] = {
        **KafkaClientConfig.ours,
        # what Driftline promises depends on these
        "isolation_level": None,
        "partition_assignment_strategy": None,
        "group_instance_id": None,
        "auto_offset_reset": None,
    }

    group: str = Field(default="driftline", pattern=_NAME, description="begins the names of the consumer groups")
    prefix: str = Field(default="driftline", pattern=_NAME, description="begins the names of the topics")
    partitions: int = Field(default=12, ge=1, le=1000, description="of a log: so many workers can share its work")
    replication: int | None = Field(
        default=None, ge=1, le=15, description="copies of each topic; null: 3, or as many as there are brokers if fewer"
    )
    retention: Duration = Field(default=30 * 86400.0, gt=0, description="how long decisions and changes are kept")
    stream_retention: Duration = Field(
        default=3 * 86400.0, gt=0, description="how long spans and scores are kept; a stage further behind misses some"
    )
    stream_size: Size = Field(
        default=50 * 2**30, gt=0, description="of spans, and of scores: past it the oldest go, read or not"
    )
    max_record: Size = Field(default=8 * 2**20, ge=2**16, le=2**30, description="of a record: larger ones are refused")
    max_unsent: Size = Field(
        default=128 * 2**20, gt=0, description="accepted, not yet with the brokers; past it senders are told to wait"
    )
    transaction_timeout: Duration = Field(
        default=10.0, ge=1, le=900, description="how long a worker that dies in a commit can hold up the others"
    )
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        default="none", description="of records; snappy, lz4 and zstd need `pip install 'driftline[compression]'`"
    )

    @field_validator("compression")
    @classmethod
    def _codec_is_there(cls, compression: str) -> str:
        module = _CODECS.get(compression)
        if module is not None and importlib.util.find_spec(module.split(".")[0]) is None:
            raise ValueError(
                f"{compression} needs a package that is not installed: {INSTALL_CODECS}; 'gzip' needs none"
            )
        return compression

    def topic(self, log: str) -> str:
        """The topic of a log."""
        return f"{self.prefix}.{log}"

    def state_topic(self, stage: str) -> str:
        """The topic of a stage's state: partition for partition that of the log it reads."""
        return f"{self.prefix}.state.{stage}"

    def stage_group(self, stage: str) -> str:
        """The consumer group of a stage."""
        return f"{self.group}.{stage}"
