"""The topics that the engine needs: what is missing or different in a cluster, and how to put it right.

`plan` looks, `apply` does what a plan says. Nothing is ever deleted, shrunk or emptied.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from collector.core.engine import CHANGES, DEAD_LETTERS, LOGS, SCORES, SPANS, TURNS
from collector.core.errors import StoreError
from collector.engines.kafka_config import KafkaEngineConfig

APPLY = "driftline topics apply"  # the command that does it, for messages

_STREAMS = (SPANS, SCORES, TURNS)
_WHOLE = (CHANGES, DEAD_LETTERS)  # few records, in one partition: whoever tells people of changes must see them all
_USUAL_REPLICATION = 3
_RECORD_OVERHEAD_BYTES = 2**10  # what a batch adds to its only record: a header, its key, its kind
_POLICY, _MAX_BYTES = "cleanup.policy", "max.message.bytes"
_STATE_SEGMENT_BYTES = 64 * 2**20  # the newest segment is never compacted: bounds what a restart reads twice
_COMPACTION_LAG_SECONDS = 3600  # and what is older than this is, however little it is


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: as it should be, or as it is."""

    name: str
    partitions: int
    configs: Mapping[str, str]
    replication: int


@dataclass(slots=True)
class Plan:
    """What has to be done, in the order in which it must be; and what only a person can do."""

    create: list[Topic] = field(default_factory=list)
    grow: dict[str, tuple[int, int]] = field(default_factory=dict)  # from, to
    change: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)  # from, to
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people, a line each."""
        made = [
            f"create {topic.name}: {topic.partitions} partitions, {topic.replication} copies"
            + "".join(f", {name}={value}" for name, value in sorted(topic.configs.items()))
            for topic in self.create
        ]
        grown = [f"grow {name}: {old} -> {new} partitions" for name, (old, new) in self.grow.items()]
        changed = [
            f"change {name}: {key} {old} -> {new}"
            for name, changes in self.change.items()
            for key, (old, new) in sorted(changes.items())
        ]
        return made + grown + changed + [f"problem: {problem}" for problem in self.problems]


def plan(config: KafkaEngineConfig, admin: Any, stages: Mapping[str, str]) -> Plan:
    """Compare a cluster, asked through kafka-python's `admin`, with what `config` wants of it.

    `stages` are those that keep state, with the log that each reads.

    Raises:
        StoreError: the cluster does not answer, or not this user.
    """
    names = [config.topic(log) for log in LOGS] + [config.state_topic(stage) for stage in stages]
    try:
        brokers = len(admin.describe_cluster()["brokers"])
        found = existing(names, admin)
    except (KafkaError, OSError) as error:
        raise StoreError(f"the topics cannot be looked at: {type(error).__name__}: {error}") from None
    result = Plan()
    # State first: a worker that is given a new partition of a log must find that of its state.
    for wanted in wanted_topics(config, brokers, found, stages):
        if (present := found.get(wanted.name)) is None:
            result.create.append(wanted)
        else:
            _compare(wanted, present, result)
    return result


def apply(todo: Plan, admin: Any) -> None:
    """Do what a plan says; its problems are left.

    Raises:
        StoreError: the cluster refused; what was done before that stays done, and a new plan has the rest.
    """
    try:
        if todo.create:
            made = {
                topic.name: {
                    "num_partitions": topic.partitions,
                    "replication_factor": topic.replication,
                    "configs": dict(topic.configs),
                }
                for topic in todo.create
            }
            admin.create_topics(made, wait_for_metadata=True)
        for name, (_, partitions) in todo.grow.items():  # one by one, for the order
            admin.create_partitions({name: partitions})
            admin.wait_for_topics([name])
        if todo.change:
            admin.alter_configs(
                [
                    ConfigResource(ConfigResourceType.TOPIC, name, {key: new for key, (_, new) in changes.items()})
                    for name, changes in todo.change.items()
                ]
            )
    except (KafkaError, OSError) as error:
        raise StoreError(f"the topics cannot be put right: {type(error).__name__}: {error}") from None


def wanted_topics(
    config: KafkaEngineConfig, brokers: int, found: Mapping[str, Topic], stages: Mapping[str, str]
) -> list[Topic]:
    """The topics as they should be. A log may already have more partitions than configured, and keeps them."""
    replication = config.replication or min(_USUAL_REPLICATION, brokers)
    count = {
        log: max(
            1 if log in _WHOLE else config.partitions,
            found[topic].partitions if (topic := config.topic(log)) in found else 0,
        )
        for log in LOGS
    }
    shared = {
        _MAX_BYTES: str(config.max_record + _RECORD_OVERHEAD_BYTES),
        # One broker may be down without a stop, and two copies have what was acknowledged.
        "min.insync.replicas": str(min(2, max(1, replication - 1))),
    }
    state = {
        **shared,
        _POLICY: "compact",
        "segment.bytes": str(_STATE_SEGMENT_BYTES),
        "max.compaction.lag.ms": str(_COMPACTION_LAG_SECONDS * 1000),
    }
    topics = [Topic(config.state_topic(stage), count[log], state, replication) for stage, log in stages.items()]
    for log in LOGS:
        streams = log in _STREAMS
        kept = {
            _POLICY: "delete",
            "retention.ms": str(round(1000 * (config.stream_retention if streams else config.retention))),
            "retention.bytes": str(config.stream_size // count[log]) if streams else "-1",
        }
        topics.append(Topic(config.topic(log), count[log], {**shared, **kept}, replication))
    return topics


def existing(names: list[str], admin: Any) -> dict[str, Topic]:
    """Those of the topics that exist, as they are. Raises KafkaError."""
    described = [topic for topic in admin.describe_topics(names) if topic["error_code"] == 0]
    if not described:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic["name"]) for topic in described]
    configs = admin.describe_configs(resources, config_filter="all")["topic"]
    return {
        topic["name"]: Topic(
            topic["name"],
            len(topic["partitions"]),
            {key: str(value["value"]) for key, value in configs[topic["name"]].items()},
            min(len(partition["replica_nodes"]) for partition in topic["partitions"]),
        )
        for topic in described
    }


def obstacles(config: KafkaEngineConfig, found: Mapping[str, Topic], stages: Mapping[str, str]) -> list[str]:
    """What makes it impossible to start, a line each."""
    lines = [f"kafka.prefix: there is no topic {name}" for name in map(config.topic, LOGS) if name not in found]
    for stage, log in stages.items():
        state, source = found.get(config.state_topic(stage)), found.get(config.topic(log))
        if state is None:
            lines.append(f"kafka.prefix: there is no topic {config.state_topic(stage)}")
            continue
        if source is not None and state.partitions < source.partitions:
            lines.append(f"{state.name} has {state.partitions} partitions, {source.name} has {source.partitions}")
        if state.configs[_POLICY] != "compact":
            lines.append(_wrong_policy(state, "compact"))
    return lines


def record_limit(topic: Topic) -> int:
    """The largest record, key and kind included, that a topic takes."""
    return int(topic.configs[_MAX_BYTES]) - _RECORD_OVERHEAD_BYTES


def _compare(wanted: Topic, present: Topic, result: Plan) -> None:
    if present.partitions < wanted.partitions:
        result.grow[wanted.name] = present.partitions, wanted.partitions
    if present.replication < wanted.replication:
        result.problems.append(
            f"{wanted.name} has {present.replication} copies, {wanted.replication} are wanted; "
            "kafka-reassign-partitions makes more"
        )
    different = {
        key: (present.configs.get(key, "unset"), value)
        for key, value in wanted.configs.items()
        if present.configs.get(key) != value
    }
    if _POLICY in different:
        # What was deleted or compacted by mistake is gone: nothing to change behind a person's back.
        result.problems.append(_wrong_policy(present, different.pop(_POLICY)[1]))
    if different:
        result.change[wanted.name] = different


def _wrong_policy(topic: Topic, wanted: str) -> str:
    return f"{topic.name} has {_POLICY}={topic.configs[_POLICY]}, and would need {wanted}; was it made by hand?"
