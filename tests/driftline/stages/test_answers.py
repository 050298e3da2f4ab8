"""A call that two traces tell is one call in the running service too: after a restart, and in either order."""

from pathlib import Path

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import DECISIONS, SPANS, TICK_KIND, TRACES_KIND, Record
from driftline.records import Sheet, read_sheet
from driftline.stages.answer_state import AnswerState
from tests.collector.test_answers import trace
from tests.driftline.partitioned import Cluster, Worker

RECORDING = Path(__file__).parents[2] / "data" / "traces" / "openinference-anthropic" / "anthropic_stream.otlp.pb"
S = 1_000_000_000


def accounts() -> tuple[Record, Record, int]:
    """The request of the instrumentation's own trace, that of the SDK's, and when they end."""
    whole = ExportTraceServiceRequest.FromString(RECORDING.read_bytes())
    found: dict[bool, Record] = {}
    end_ns = 0
    for resource in whole.resource_spans:
        for scope in resource.scope_spans:
            part = ExportTraceServiceRequest()
            copied = part.resource_spans.add()
            copied.resource.CopyFrom(resource.resource)
            copied.scope_spans.add().CopyFrom(scope)
            sdk = scope.scope.name.startswith("com.anthropic")
            found[sdk] = Record(part.SerializeToString(), kind=TRACES_KIND, partition=0)
            end_ns = max(end_ns, *(span.end_time_unix_nano for span in scope.spans))
    return found[False], found[True], end_ns


def sheets(cluster: Cluster) -> dict[str, Sheet]:
    """The last sheet of each trace."""
    found = [read_sheet(record.value) for place in cluster.logs[DECISIONS] for record in place]
    return {sheet["trace_id"]: sheet for sheet in sorted(found, key=lambda sheet: sheet["revision"])}


def run(order: tuple[Record, Record], end_ns: int, restart: bool) -> tuple[Cluster, list[Worker]]:
    cluster = Cluster()
    workers = [Worker(cluster, [0])]
    for number, record in enumerate(order, 1):
        cluster.put(SPANS, record)
        cluster.put(SPANS, Record(str(end_ns + number * 60 * S).encode(), kind=TICK_KIND, partition=0))
        workers[-1].turn(workers[-1].score, 3)
        if restart:
            workers.append(Worker(cluster, [0]))
    return cluster, workers


def counted(workers: list[Worker], name: str, labels: list[str]) -> float:
    return sum(worker.telemetry.counter(name, "", labels).total() for worker in workers)


@pytest.mark.parametrize("restart", [False, True], ids=["at one go", "with a restart between"])
@pytest.mark.parametrize("sdk_first", [False, True], ids=["content first", "bare first"])
def test_two_traces_that_tell_one_call_count_it_once(sdk_first: bool, restart: bool) -> None:
    told, bare, end_ns = accounts()
    cluster, workers = run((bare, told) if sdk_first else (told, bare), end_ns, restart)
    content, other = sorted(sheets(cluster).values(), key=lambda sheet: -sheet["counts"]["llm_calls"])
    assert (content["counts"]["llm_calls"], other["counts"]["llm_calls"]) == (1, 0)
    assert "repeats" not in content
    assert [home for _, home in other["repeats"]] == [content["trace_id"]]
    tokens = {
        sheet["trace_id"]: next(one for one in sheet["decisions"] if one["scorer"] == "tokens")
        for sheet in (content, other)
    }
    assert tokens[content["trace_id"]]["decision"] == "scored"
    assert tokens[other["trace_id"]]["reason"] == "told by another trace"
    assert other["revision"] == (1 if sdk_first else 0)
    assert len(content["decisions"]) == len(other["decisions"])
    assert counted(workers, "driftline_model_calls", ["provider", "model", "outcome"]) == 1
    assert counted(workers, "driftline_repeated_calls", []) == 1


def test_a_restart_changes_no_record_of_the_ledger() -> None:
    told, bare, end_ns = accounts()
    for order in ((told, bare), (bare, told)):
        undisturbed, _ = run(order, end_ns, restart=False)
        disturbed, _ = run(order, end_ns, restart=True)
        assert [one.value for one in disturbed.logs[DECISIONS][0]] == [
            one.value for one in undisturbed.logs[DECISIONS][0]
        ]


class Written:
    """A transaction that only keeps what it is told."""

    def __init__(self, state: dict[str, bytes]) -> None:
        self.state = state

    def put(self, key: str, value: bytes) -> None:
        self.state[key] = value

    def delete(self, key: str) -> None:
        del self.state[key]


def test_rows_of_the_state_go_once_nothing_of_them_counts() -> None:
    state: dict[str, bytes] = {}
    kept = AnswerState(100 * S, state, limit=4)
    for number in range(200):
        kept.answers.now_ns = number * S
        kept.answers.settle(trace(str(number), answer=str(number)))
        kept.save(Written(state))  # type: ignore[arg-type]
        assert len(state) <= 4
        if number % 7 == 0:
            kept = AnswerState(100 * S, state, limit=4)
    assert sorted(row[0] for value in state.values() for row in orjson.loads(value)) == ["196", "197", "198", "199"]
    kept.answers.now_ns = 400 * S
    kept.answers.settle(trace("new", answer="new"))
    kept.save(Written(state))  # type: ignore[arg-type]
    assert len(state) == 1
