"""Model calls as metrics."""

from collector.core.model import Embedding, Failure, LLMCall, Trace
from collector.core.telemetry import Telemetry
from collector.usage import UsageMetrics, UsageTally

S = 1_000_000_000


def test_calls_tokens_cost_and_times_are_counted_by_model_and_a_repeated_call_once() -> None:
    telemetry = Telemetry()
    metrics, tally = UsageMetrics(telemetry), UsageTally()
    call = LLMCall(
        "a", 0, 2 * S, provider="openai", response_model="m", input_tokens=10, output_tokens=5, cached_input_tokens=4,
        reasoning_tokens=3, cost_usd=0.25, cost_source="computed", first_token_seconds=0.2,
    )  # fmt: skip
    again = LLMCall("b", 0, S, provider="openai", response_model="m", input_tokens=10, cost_usd=1.0, repeated=True)
    failed = LLMCall("c", 0, S, Failure("x"), request_model="x" * 500)
    trace = Trace("t", llm_calls=[call, again, failed], embeddings=[Embedding("d", model="e", input_tokens=7)])
    tally.add(trace.llm_calls, trace.embeddings)
    metrics.record(tally)
    values = {one.name: one.values() for one in telemetry.instruments()}  # type: ignore[attr-defined]
    long = ("unknown", "x" * 100)
    assert values["driftline_model_calls"] == {
        ("openai", "m", "ok"): 1, (*long, "error"): 1, ("unknown", "e", "ok"): 1,
    }  # fmt: skip
    assert values["driftline_model_tokens"] == {
        ("openai", "m", "input"): 10, ("openai", "m", "output"): 5, ("openai", "m", "cached_input"): 4,
        ("openai", "m", "reasoning"): 3, ("unknown", "e", "input"): 7,
    }  # fmt: skip
    assert values["driftline_model_cost_dollars"] == {("openai", "m", "computed"): 0.25}
    assert values["driftline_model_call_seconds"]["openai", "m"].sum == 2
    assert values["driftline_model_first_token_seconds"]["openai", "m"].sum == 0.2
