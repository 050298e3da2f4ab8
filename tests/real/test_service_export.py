"""Scores and changes of `driftline serve` in a topic of a real broker and in Parquet files, through a crash."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import orjson
import pyarrow.parquet
import pytest

from driftline.export.rows import score_key
from driftline.export.stage import changes, scores
from tests.real.app import Settings
from tests.real.bodies import TraceBodies, record_app
from tests.real.parts.kafka import KafkaBroker
from tests.real.service import Service, service

pytestmark = pytest.mark.long

START_NS = 1_750_000_000_000_000_000
TRACES = 160
PARTITIONS = 2


def send(driftline: Service, bodies: list[TraceBodies]) -> None:
    with httpx.Client(headers={"content-type": "application/x-protobuf"}) as client:
        for one in bodies:
            answer = client.post(f"{driftline.otlp_http}/v1/traces", content=one.spans.SerializeToString())
            assert answer.status_code == 200, answer.text


def consumed(broker: KafkaBroker, topic: str) -> list[tuple[int, bytes, bytes]]:
    """All messages of a topic: partition, key, value."""
    end = sum(broker.end_offsets(topic).values())
    found: list[tuple[int, bytes, bytes]] = []
    with broker.consumer(topic) as consumer:
        while len(found) < end:
            for messages in consumer.poll(timeout_ms=1000).values():
                found += [(one.partition, one.key, one.value) for one in messages]
    return found


def test_every_row_is_in_the_topic_and_once_in_the_files_though_it_was_killed(
    tmp_path: Path, kafka: KafkaBroker, unique_name: Callable[[str], str]
) -> None:
    topics = {name: kafka.create_topic(unique_name(name), PARTITIONS) for name in ("scores", "changes")}
    lake = tmp_path / "lake"
    document = {
        "export": {
            "kafka": {"brokers": [kafka.address], **topics},
            "parquet": {"path": str(lake), "every": "300ms", "max_rows": 200},
        },
        "monitors": [{"watch": "groundedness", "by": ["service"], "warmup": 40}],
        "false_pages": "1 per hour",
    }
    bodies = record_app(TRACES, 31, START_NS, Settings(content="span", spacing_ns=60_000_000_000, regress_after=90))
    with service(tmp_path / "service", document) as driftline:
        send(driftline, bodies[: TRACES // 2])
        driftline.wait(lambda: any(lake.rglob("*.parquet")), "the first file")
        driftline.kill()
        driftline.start()
        send(driftline, bodies[TRACES // 2 :])
        driftline.wait_for_traces([one.trace_id for one in bodies])
        assert driftline.total("driftline_exported_rows_total", 'sink="parquet"', 'rows="scores"') > 0
        assert driftline.stop() == 0
        logged = {
            "scores": [value for (value,) in driftline.stored("SELECT value FROM log_decisions ORDER BY offset")],
            "changes": [value for (value,) in driftline.stored("SELECT value FROM log_changes ORDER BY offset")],
        }

    for name, source in (("scores", scores(False)), ("changes", changes())):
        rows = {row["id"]: row for value in logged[name] for row in source.rows(value)}
        assert rows, name
        messages = consumed(kafka, topics[name])
        told = [orjson.loads(value) for _, _, value in messages]
        assert {row["id"]: row for row in told} == rows, "all of them; some perhaps twice, and then alike"
        partitions = Counter((key, partition) for partition, key, _ in messages)
        assert len({key for key, _ in partitions}) == len(partitions), "all of a key in one partition"
        files = [pyarrow.parquet.ParquetFile(path).read().to_pylist() for path in (lake / name).rglob("*.parquet")]
        assert Counter(row["id"] for file in files for row in file) == Counter(rows.keys())
    assert {key for _, key, value in consumed(kafka, topics["scores"])} == {
        score_key(row) for value in logged["scores"] for row in scores(False).rows(value)
    }
