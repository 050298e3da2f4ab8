"""Timings, cache writes and costs as each dialect writes them."""

from pathlib import Path

import pytest

from collector.core.model import JSON, LLMCall, Span, SpanEvent
from collector.seen import understand
from driftline.recording import Recording

FOLDER = Path(__file__).parents[2] / "data" / "traces"
START_NS = 1_795_425_017_000_000_000  # 2026-11-23T09:10:17Z
CHAT: dict[str, JSON] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
FIRST = SpanEvent("First Token Stream Event", START_NS + 250_000_000, {})
CHUNKS = [SpanEvent("gen_ai.content.completion.chunk", START_NS + ms * 1_000_000, {}) for ms in (900, 250, 300)]


def read(scope: str, attributes: dict[str, JSON], events: list[SpanEvent] | None = None) -> LLMCall:
    span = Span("t", "s", None, "c", 3, START_NS, START_NS + 10**9, attributes, events or [], [], 0, "", scope, "", {})
    seen = understand(span)
    assert seen is not None
    assert isinstance(seen.operation, LLMCall)
    return seen.operation


@pytest.mark.parametrize(
    ("scope", "attributes", "events"),
    [
        ("", {**CHAT, "gen_ai.response.time_to_first_chunk": 0.25}, []),
        ("strands.telemetry.tracer", {**CHAT, "gen_ai.server.time_to_first_token": 250}, []),
        (
            "openlit.instrumentation.openai",
            {**CHAT, "gen_ai.request.stream": True, "gen_ai.server.time_to_first_token": 0.25},
            [],
        ),
        ("livekit-agents", {**CHAT, "lk.response.ttft": 0.25}, []),
        ("@mastra/otel", {**CHAT, "mastra.completion_start_time": "2026-11-23T09:10:17.250Z"}, []),
        ("pydantic-ai", {**CHAT, "gen_ai.client.operation.time_to_first_chunk": 0.25}, []),
        ("opentelemetry.instrumentation.openai.v1", CHAT, CHUNKS),
        ("openinference.instrumentation.openai", {"openinference.span.kind": "LLM"}, [FIRST]),
        ("ai", {"ai.operationId": "ai.streamText.doStream", "ai.response.msToFirstChunk": 250}, []),
        (
            "ai",
            {"ai.operationId": "ai.streamText.doStream"},
            [SpanEvent("ai.stream.firstChunk", START_NS + 250_000_000, {})],
        ),
        (
            "langfuse-sdk",
            {
                "langfuse.observation.type": "generation",
                "langfuse.observation.completion_start_time": '"2026-11-23T09:10:17.250Z"',
            },
            [],
        ),
        (
            "haystack",
            {
                "haystack.component.type": "OpenAIChatGenerator",
                "haystack.component.output": '{"replies": [{"meta": {"completion_start_time": '
                '"2026-11-23T09:10:17.25"}}]}',
            },
            [],
        ),
    ],
)
def test_the_time_to_the_first_chunk_is_read(scope: str, attributes: dict[str, JSON], events: list[SpanEvent]) -> None:
    assert read(scope, attributes, events).first_token_seconds == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize("wrong", ["soon", -1, float("nan"), [], "2026-99-99"])
def test_a_time_that_cannot_be_is_left_out(wrong: JSON) -> None:
    assert read("", {**CHAT, "gen_ai.response.time_to_first_chunk": wrong}).first_token_seconds is None
    langfuse = {"langfuse.observation.type": "generation", "langfuse.observation.completion_start_time": wrong}
    assert read("langfuse-sdk", langfuse).first_token_seconds is None


@pytest.mark.parametrize(
    ("scope", "attributes"),
    [
        ("", {**CHAT, "gen_ai.usage.cost": 0.5}),
        ("logfire", {**CHAT, "operation.cost": "0.5"}),
        ("openinference.instrumentation.x", {"openinference.span.kind": "LLM", "llm.cost.total": 0.5}),
        (
            "langfuse-sdk",
            {
                "langfuse.observation.type": "generation",
                "langfuse.observation.cost_details": '{"input": 0.2, "output": 0.3}',
            },
        ),
        ("mlflow.x", {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.cost": '{"total_cost": 0.5}'}),
        ("ai", {"ai.operationId": "ai.generateText.doGenerate", "gen_ai.usage.cost": 0.5}),
    ],
)
def test_an_exported_cost_is_kept_with_its_source(scope: str, attributes: dict[str, JSON]) -> None:
    call = read(scope, attributes)
    assert (call.cost_usd, call.cost_source) == (0.5, "exported")


def test_tokens_written_to_the_cache_are_read() -> None:
    for key in ("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"):
        assert read("", {**CHAT, key: 9}).cache_write_input_tokens == 9


def test_recorded_streams_tell_their_first_chunk() -> None:
    told = {}
    for path in sorted(FOLDER.glob("*/*stream*.otlp*.pb")):
        if "logs" in path.name:
            continue
        recording = Recording()
        recording.add(path.read_bytes(), path.name)
        calls = [call for trace in recording.traces() for call in trace.llm_calls]
        told[path.parent.name] = [call.first_token_seconds for call in calls if call.first_token_seconds is not None]
        for call in calls:
            assert call.first_token_seconds is None or 0 < call.first_token_seconds <= call.seconds, path
    assert sum(map(bool, told.values())) >= 2, told


@pytest.mark.parametrize("stream", ["gen_ai.request.stream", "gen_ai.request.is_stream"])
def test_openlit_tells_the_whole_time_of_a_call_that_is_not_streamed_as_its_first_token(stream: str) -> None:
    told = {**CHAT, stream: False, "gen_ai.server.time_to_first_token": 0.25}
    assert read("openlit.instrumentation.openai", told).first_token_seconds is None


@pytest.mark.parametrize(("told", "cost_usd"), [(0, None), (0.0, None), (0.25, 0.25), ("no", None)])
def test_openlit_tells_no_price_as_a_cost_of_zero(told: JSON, cost_usd: float | None) -> None:
    assert read("openlit.instrumentation.openai", {**CHAT, "gen_ai.usage.cost": told}).cost_usd == cost_usd
