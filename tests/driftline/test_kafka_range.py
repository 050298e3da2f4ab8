"""Parts of topics: how they are written, and in which order they are read."""

from collections import namedtuple
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from kafka import TopicPartition

from collector.core.errors import UserError
from collector.receivers.kafka_config import KafkaConfig
from driftline.kafka_range import KafkaRange, KafkaTraffic, _merged, parse_range

Message = namedtuple("Message", "partition offset timestamp")
DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("spans@..", KafkaRange("spans", None, None, None, by_time=False)),
        ("a.b-c_d/12@0..5", KafkaRange("a.b-c_d", 12, 0, 5, by_time=False)),
        ("spans@7..", KafkaRange("spans", None, 7, None, by_time=False)),
        ("spans@1970-01-02..1970-01-03", KafkaRange("spans", None, DAY_MS, 2 * DAY_MS, by_time=True)),
        ("spans@..1970-01-02T00:00+01:00", KafkaRange("spans", None, None, DAY_MS - 3_600_000, by_time=True)),
    ],
)
def test_a_range_is_of_offsets_or_of_moments(text: str, found: KafkaRange) -> None:
    assert parse_range(text) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("spans", "is not TOPIC@FROM..TO"),
        ("spans@5", "is not TOPIC@FROM..TO"),
        ("@1..2", "is not TOPIC@FROM..TO"),
        ("a b@1..2", "is not TOPIC@FROM..TO"),
        ("spans/x@1..2", "is not TOPIC@FROM..TO"),
        ("spans@5..5", "ends before it begins"),
        ("spans@5..2026-03-01", "has an offset and a moment"),
        ("spans@soon..", "'soon' is not a day"),
        ("spans@-1..", "'-1' is not a day"),
    ],
)
def test_what_is_no_range_is_told_what_one_is(text: str, told: str) -> None:
    with pytest.raises(UserError, match=r"^--kafka: ") as caught:
        parse_range(text)
    assert told in str(caught.value)


def test_without_brokers_or_of_another_topic_there_is_nothing_to_read() -> None:
    with pytest.raises(UserError, match="has no `kafka:`"):
        KafkaTraffic(None, [parse_range("otlp_spans@..")])
    config = KafkaConfig(brokers=["127.0.0.1:9"])
    with pytest.raises(UserError, match=r"'mine' is not one of the topics of `kafka:` \(otlp_spans, otlp_logs\)"):
        KafkaTraffic(config, [parse_range("mine@..")])


class Consumer:
    """Brings what partitions have a few messages at a time, as it likes, but of none that is paused."""

    def __init__(self, messages: dict[TopicPartition, Sequence[Message]], seed: int) -> None:
        self.messages, self.rng = messages, Random(seed)
        self.at: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()

    def assign(self, places: Sequence[TopicPartition]) -> None:
        self.at = dict.fromkeys(places, 0)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.at[place] = offset

    def pause(self, *places: TopicPartition) -> None:
        self.paused |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        self.paused -= set(places)

    def poll(self, timeout_ms: int) -> dict[TopicPartition, Sequence[Message]]:
        found = {}
        for place in self.at.keys() - self.paused:
            count = self.rng.randrange(4)
            found[place] = self.messages[place][self.at[place] : self.at[place] + count]
            self.at[place] += len(found[place])
        return found

    def position(self, place: TopicPartition, timeout_ms: int) -> int:
        return self.at[place]


@pytest.mark.parametrize("seed", range(20))
def test_partitions_are_merged_by_time_however_they_are_fetched(seed: int) -> None:
    rng = Random(5)
    messages: dict[TopicPartition, Sequence[Any]] = {
        TopicPartition(topic, number): [
            Message(number, offset, stamp) for offset, stamp in enumerate(sorted(rng.choices(range(300), k=100)))
        ]
        for topic, number in (("logs", 0), ("spans", 0), ("spans", 1))
    }
    bounds = {place: (10 * number, 100 - number) for number, place in enumerate(messages)}
    found = list(_merged(Consumer(messages, seed), bounds))
    assert [one.timestamp for one in found] == sorted(one.timestamp for one in found)
    assert len(found) == sum(end - begin for begin, end in bounds.values())
    assert found == list(_merged(Consumer(messages, seed + 100), bounds))
