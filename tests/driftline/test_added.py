"""Operations that come with a revision of their trace: told once, to monitors and metrics alike."""

from pathlib import Path

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import SPANS, TICK_KIND, TRACES_KIND, Record
from collector.core.model import LLMCall, ToolCall
from driftline.build import build
from driftline.commands.replay import offline
from driftline.config import Config
from driftline.service import Service
from scorers.targets import added_parts
from tests.driftline.test_pipeline import END_NS, SECOND, configuration

_SCORER = '''
from scorers.base import scorer

@scorer(name="each_call", target="llm_call", passing=">= 0.5")
def each_call(call, trace):
    """Once for each model call."""
    return 1.0

@scorer(name="each_tool", target="tool_call")
def each_tool(run, trace):
    """Once for each tool run."""
    return 1.0
'''
AGENT = {"gen_ai.operation.name": "invoke_agent"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search", "gen_ai.tool.call.id": "c1"}


def span(number: int, at_seconds: int = 0, attributes: dict[str, str] | None = None, answer_id: str = "") -> Record:
    """The first span is the root; the others are its children."""
    request = ExportTraceServiceRequest()
    made = request.resource_spans.add().scope_spans.add().spans.add(name="chat m")
    made.trace_id, made.span_id = b"\1" * 16, number.to_bytes(8, "big")
    made.parent_span_id = b"" if number == 1 else (1).to_bytes(8, "big")
    made.start_time_unix_nano = END_NS + at_seconds * SECOND
    made.end_time_unix_nano = made.start_time_unix_nano + SECOND
    message = orjson.dumps([{"role": "user", "parts": [{"type": "text", "content": f"What is {number}?"}]}]).decode()
    chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.input.messages": message}
    if answer_id:
        chat["gen_ai.response.id"] = answer_id
    for key, value in (attributes or chat).items():
        made.attributes.add(key=key).value.string_value = value
    return Record(request.SerializeToString(), kind=TRACES_KIND)


def tick(seconds: int) -> Record:
    return Record(str(END_NS + seconds * SECOND).encode(), kind=TICK_KIND)


FIRST = (span(1, attributes=AGENT), span(2), tick(10))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "mine.py").write_text(_SCORER, encoding="utf-8")
    scorers = [str(tmp_path / "mine.py:each_call"), str(tmp_path / "mine.py:each_tool"), "latency"]
    assemble = {"quiet": "1s", "lateness": "0s"}
    return offline(configuration(tmp_path, scorers=scorers, assemble=assemble, monitors=[]), tmp_path)


def feed(service: Service, *records: Record) -> None:
    service.engine.append(SPANS, records).result()
    service.drain()


def told(service: Service) -> dict[str, tuple[int, int]]:
    """By scorer: how many scores monitors took for new, and how many for corrections."""
    counts = service.telemetry.counter("driftline_points", "", ("metric", "outcome")).values()
    return {
        name: (int(counts.get((name, "no_monitor"), 0)), int(counts.get((name, "revised"), 0)))
        for name in ("each_call", "each_tool", "latency")
    }


def model_calls(service: Service) -> float:
    counts = service.telemetry.counter("driftline_model_calls", "", ("provider", "model", "outcome")).values()
    return sum(counts.values())


def passed(service: Service) -> float:
    counts = service.telemetry.counter("driftline_evaluations", "", ("scorer", "outcome")).values()
    return counts["each_call", "passed"]


def test_a_late_call_and_a_late_tool_run_are_told_once_and_what_was_told_is_not_told_again(config: Config) -> None:
    service = build(config)
    feed(service, *FIRST)
    assert (told(service)["each_call"], model_calls(service), passed(service)) == ((1, 0), 1, 1)
    feed(service, span(3), tick(20))
    assert told(service) == {"each_call": (2, 1), "each_tool": (0, 0), "latency": (1, 1)}
    assert (model_calls(service), passed(service)) == (2, 2)
    feed(service, span(4, attributes=TOOL), tick(30))
    assert told(service) == {"each_call": (2, 3), "each_tool": (1, 0), "latency": (1, 2)}
    feed(service, span(5), span(6), tick(900))
    assert told(service) == {"each_call": (4, 8), "each_tool": (1, 2), "latency": (1, 4)}, "two revisions, a call each"
    assert (model_calls(service), passed(service)) == (4, 4)
    service.stop()


def test_a_restart_between_forgets_neither_what_was_told_nor_what_was_not(config: Config) -> None:
    service = build(config)
    feed(service, *FIRST)
    feed(service, span(3))
    feed(service, span(4))
    assert told(service)["each_call"] == (3, 3)
    feed(service, span(5))  # the third revision waits
    assert told(service)["each_call"] == (3, 3)
    service.stop()
    service = build(config)
    feed(service, tick(900))
    assert told(service)["each_call"] == (1, 3)
    assert model_calls(service) == 1
    service.stop()
    service = build(config)
    feed(service, span(6), tick(1800))
    assert told(service)["each_call"] == (1, 4)
    service.stop()


def test_a_span_that_comes_again_adds_nothing(config: Config) -> None:
    service = build(config)
    feed(service, *FIRST)
    feed(service, span(2, answer_id="longer"), tick(20))
    assert told(service)["each_call"] == (1, 1)
    assert model_calls(service) == 1
    service.stop()


def test_a_late_span_that_tells_a_call_better_is_no_further_call(config: Config) -> None:
    """A library's span of a call comes after that of the client below it, which is of the same call."""
    service = build(config)
    feed(service, span(2), tick(800))
    before = service.view.sheet("01" * 16)
    feed(service, span(1), tick(1600))
    after = service.view.sheet("01" * 16)
    assert before is not None
    assert after is not None
    assert (before["counts"]["llm_calls"], after["counts"]["llm_calls"], after["revision"]) == (1, 1, 1)
    assert told(service)["each_call"] == (1, 1)
    assert model_calls(service) == 1
    service.stop()


def test_operations_known_from_messages_alone_are_counted() -> None:
    before = [ToolCall(None, name="a"), LLMCall("s1")]
    now = [ToolCall(None, name="a"), ToolCall(None, name="b"), LLMCall("s2")]
    assert [part.span_id for part in added_parts(before, now)] == ["#2"], "of two new identities one is a new name"
    assert added_parts(now, before) == []
    assert added_parts([], before)[1].operation is before[1]
