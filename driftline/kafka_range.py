"""A part of a Kafka topic, read once and in order: what a replay takes in place of files.

Partitions are merged by the messages' times, so that the same range is the same traffic each time. No group is joined
and no offset is committed: whoever reads the topic live is not disturbed.
"""

import re
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collector.core.errors import DriftlineError, UserError
from collector.core.telemetry import Telemetry
from collector.receivers.accept import Prepared
from collector.receivers.kafka_config import KafkaConfig
from driftline.export.period import parse_moment

_SHAPE = re.compile(r"(?P<topic>[A-Za-z0-9._-]+?)(/(?P<partition>\d{1,9}))?@(?P<begin>.*)\.\.(?P<end>.*)")
_ASK_MS = 15_000
_SILENCE_SECONDS = 60.0  # a broker that sends nothing of what it has for so long has failed
_MOST_WAITING = 2_000  # messages of a partition, while others catch up
_ALLOWED = (
    "TOPIC@FROM..TO or TOPIC/PARTITION@FROM..TO, where FROM and TO are offsets, or days or moments, or nothing: "
    "otlp_spans@2026-03-01..2026-03-02, otlp_spans/0@1000.."
)


@dataclass(frozen=True)
class KafkaRange:
    """From one place on and before another: an offset, a moment in milliseconds, or None for the end of what there is.

    `partition` is None for all of them.
    """

    topic: str
    partition: int | None
    begin: int | None
    end: int | None
    by_time: bool


def parse_range(text: str) -> KafkaRange:
    """A range, as people write it.

    >>> parse_range("otlp_spans/2@100..200")
    KafkaRange(topic='otlp_spans', partition=2, begin=100, end=200, by_time=False)

    Raises:
        UserError: it is none.
    """
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise UserError(f"--kafka: {text[:200]!r} is not {_ALLOWED}")
    ends = [found["begin"], found["end"]]
    by_time = any(end and not end.isdigit() for end in ends)
    if by_time and any(end.isdigit() for end in ends):
        raise UserError(f"--kafka: {text!r} has an offset and a moment; give two offsets, or two moments")
    begin, end = (
        None if not one else parse_moment("--kafka", one, 0) // 10**6 if by_time else int(one) for one in ends
    )
    if begin is not None and end is not None and begin >= end:
        raise UserError(f"--kafka: {text!r} ends before it begins")
    partition = None if found["partition"] is None else int(found["partition"])
    return KafkaRange(found["topic"], partition, begin, end, by_time)


class KafkaTraffic:
    """The messages of some ranges.

    Raises:
        UserError: the configuration does not read one of their topics.
    """

    def __init__(self, config: KafkaConfig | None, wanted: Sequence[KafkaRange]) -> None:
        if config is None:
            raise UserError("--kafka: the configuration has no `kafka:`, which says where the brokers are")
        for one in wanted:
            if one.topic not in config.kinds():
                known = ", ".join(config.kinds())
                raise UserError(f"--kafka: {one.topic!r} is not one of the topics of `kafka:` ({known})")
        self._config, self._wanted = config, wanted

    def messages(self) -> Iterator["Message"]:
        """In order of time.

        Raises:
            UserError: what is asked for is not there.
            DriftlineError: no broker answers.
        """
        from collector.receivers.kafka import KafkaReceiver  # kafka-python takes 15 MB

        receiver = KafkaReceiver(self._config, lambda _: None, Telemetry(), lambda *_: None)
        return (Message(receiver, record) for record in self._records() if record.value is not None)

    def _records(self) -> Iterator[Any]:
        from kafka.errors import KafkaError

        brokers = ", ".join(self._config.brokers)
        consumer = None
        try:
            consumer = _connect(self._config)
            yield from _merged(consumer, self._bounds(consumer))
        except (KafkaError, OSError) as error:
            raise DriftlineError(
                f"--kafka: Kafka at {brokers}: {type(error).__name__}: {error}; so it is too where a certificate, "
                "password or mechanism in `options` does not fit"
            ) from None
        finally:
            if consumer is not None:
                consumer.close(autocommit=False, timeout_ms=_ASK_MS)

    def _bounds(self, consumer: Any) -> dict[Any, tuple[int, int]]:
        """The offset to begin with, and that to end before, of each partition that has something."""
        found: dict[Any, tuple[int, int]] = {}
        for wanted in self._wanted:
            places = _places(consumer, wanted)
            if twice := [place for place in places if place in found]:
                raise UserError(f"--kafka: partition {twice[0].partition} of {wanted.topic} is asked for twice")
            found |= _bounds(consumer, wanted, places)
        chosen = {place: bounds for place, bounds in found.items() if bounds[0] < bounds[1]}
        if not chosen:
            topics = ", ".join(one.topic for one in self._wanted)
            raise UserError(f"--kafka: there is nothing in this range of {topics}")
        return chosen


@dataclass(frozen=True)
class Message:
    """One of them; as text, where it is."""

    receiver: Any
    record: Any

    def __str__(self) -> str:
        return f"{self.record.topic}/{self.record.partition} at offset {self.record.offset}"

    def request(self) -> tuple[Prepared, str]:
        """What live would have made of it, and its tenant.

        Raises:
            Rejected: nothing.
        """
        prepared: tuple[Prepared, str] = self.receiver.prepare(self.record)
        return prepared


def _connect(config: KafkaConfig) -> Any:
    from kafka import KafkaConsumer

    settings = {"bootstrap_timeout_ms": _ASK_MS, "metrics_enabled": False, **config.client_options()}
    client_id = settings.pop("client_id", "driftline-replay")
    settings.pop("group_instance_id", None)
    return KafkaConsumer(
        bootstrap_servers=list(config.brokers),
        client_id=client_id,
        **{**settings, "group_id": None, "enable_auto_commit": False, "auto_offset_reset": "earliest"},
    )


def _places(consumer: Any, wanted: KafkaRange) -> list[Any]:
    """The partitions that are asked for."""
    from kafka import TopicPartition

    known = sorted(consumer.partitions_for_topic(wanted.topic) or ())
    if not known:
        raise UserError(f"--kafka: there is no topic {wanted.topic!r}")
    if wanted.partition is not None and wanted.partition not in known:
        raise UserError(f"--kafka: {wanted.topic} has no partition {wanted.partition}; it has 0 to {known[-1]}")
    return [TopicPartition(wanted.topic, one) for one in known if wanted.partition in (None, one)]


def _bounds(consumer: Any, wanted: KafkaRange, places: Sequence[Any]) -> dict[Any, tuple[int, int]]:
    first = dict(consumer.beginning_offsets(places, timeout_ms=_ASK_MS))
    last = dict(consumer.end_offsets(places, timeout_ms=_ASK_MS))
    if wanted.by_time:
        begin = first if wanted.begin is None else _at(consumer, wanted.begin, last)
        end = last if wanted.end is None else _at(consumer, wanted.end, last)
    else:
        gone = [place for place in places if wanted.begin is not None and wanted.begin < first[place]]
        if gone:
            which = f"offset {wanted.begin} of {wanted.topic}/{gone[0].partition}"
            raise UserError(f"--kafka: {which} is not kept any more; the oldest is {first[gone[0]]}")
        begin = {place: first[place] if wanted.begin is None else wanted.begin for place in places}
        end = {place: last[place] if wanted.end is None else min(wanted.end, last[place]) for place in places}
    return {place: (begin[place], end[place]) for place in places}


def _at(consumer: Any, moment_ms: int, last: Mapping[Any, int]) -> dict[Any, int]:
    """The first offset of each partition at or after a moment; its end if there is none."""
    found = consumer.offsets_for_times(dict.fromkeys(last, moment_ms), timeout_ms=_ASK_MS)
    return {place: last[place] if found.get(place) is None else found[place].offset for place in last}


def _merged(consumer: Any, bounds: Mapping[Any, tuple[int, int]]) -> Iterator[Any]:
    """Messages by their time, and within a partition in its order."""
    waiting: dict[Any, deque[Any]] = {place: deque() for place in bounds}
    consumer.assign(list(bounds))
    for place, (begin, _) in bounds.items():
        consumer.seek(place, begin)
    reading = set(bounds)  # what may bring more
    while waiting:
        if any(not waiting[place] for place in reading):
            _poll(consumer, bounds, waiting, reading)
            continue
        for place in [place for place in waiting if not waiting[place]]:
            del waiting[place]
        if waiting:
            earliest = min(waiting, key=lambda place: (waiting[place][0].timestamp, place))
            yield waiting[earliest].popleft()


def _poll(
    consumer: Any, bounds: Mapping[Any, tuple[int, int]], waiting: Mapping[Any, deque[Any]], reading: set[Any]
) -> None:
    """Read more, until each that is not at its end has something waiting."""
    heard = time.monotonic()
    while any(not waiting[place] for place in reading):
        full = [place for place in reading if len(waiting[place]) >= _MOST_WAITING]
        consumer.pause(*full)
        for place, records in consumer.poll(timeout_ms=1_000).items():
            heard = time.monotonic()
            waiting[place].extend(record for record in records if record.offset < bounds[place][1])
        consumer.resume(*full)
        done = {place for place in reading if consumer.position(place, timeout_ms=_ASK_MS) >= bounds[place][1]}
        consumer.pause(*done)
        reading -= done
        if time.monotonic() - heard > _SILENCE_SECONDS:
            raise DriftlineError(f"--kafka: the brokers sent nothing more for {_SILENCE_SECONDS:g} s")
