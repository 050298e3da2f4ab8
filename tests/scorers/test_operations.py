from collector.core.model import Failure, LLMCall, ToolCall, Trace
from scorers.base import Score
from scorers.builtin.operations import error, latency, model, provider, tokens


def test_latency_is_in_seconds() -> None:
    assert latency(Trace("t", start_ns=1_000_000_000, end_ns=3_500_000_000)) == 2.5


def test_without_times_there_is_no_latency_rather_than_zero() -> None:
    assert latency(Trace("t")) is None


def test_times_that_run_backwards_take_no_time() -> None:
    assert latency(Trace("t", start_ns=5, end_ns=1)) == 0


def test_tokens_add_up_and_say_how_many_calls_reported() -> None:
    calls = [LLMCall(None, input_tokens=100, output_tokens=20), LLMCall(None), LLMCall(None, input_tokens=0)]
    assert tokens(Trace("t", llm_calls=calls)) == Score(120.0, explanation="2 of 3 model calls report tokens")


def test_known_to_be_wrong_negative_counts_are_taken_for_none() -> None:
    assert tokens(Trace("t", llm_calls=[LLMCall(None, input_tokens=-5, output_tokens=3)])).value == 3  # type: ignore[union-attr]


def test_a_trace_that_failed_is_one() -> None:
    assert error(Trace("t", error=True)) == Score(1.0)
    assert error(Trace("t")) == Score(0.0)


def test_known_to_be_wrong_a_failure_that_was_recovered_from_counts() -> None:
    run = ToolCall(None, error=Failure("Timeout", "10.0.0.1 did not answer"), name="get")
    assert error(Trace("t", answer="All good.", tool_executions=[run])) == Score(1.0, explanation="failed: ToolCall")


def test_the_model_is_that_of_the_last_call_that_tells_one() -> None:
    calls = [
        LLMCall("a", provider="openai", request_model="small"),
        LLMCall("b", request_model="big", response_model="big-2025"),
        LLMCall("c"),
    ]
    trace = Trace("t", llm_calls=calls)
    assert model(trace) == Score(None, label="big-2025", span_id="b")
    assert provider(trace) == Score(None, label="openai", span_id="a")


def test_without_a_model_or_provider_there_is_no_label() -> None:
    trace = Trace("t", llm_calls=[LLMCall("a")])
    assert model(trace) is None
    assert provider(trace) is None
