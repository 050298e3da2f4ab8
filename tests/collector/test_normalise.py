"""Properties of normalising: the order of spans is indifferent, and nothing that an attribute holds can break it."""

import random
import sys
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.core.model import Link, LogEvent, Span, SpanEvent, Trace
from collector.normalise import normalise
from collector.wire.decode import decode_log, decode_span
from driftline.commands.inspect import Recording, as_line

FOLDER = Path(__file__).parents[1] / "data" / "traces"


def span(span_id: str, parent: str | None = None, start: int = 0, end: int = 10, **attributes: Any) -> Span:
    """A span with attributes; `__` in a name stands for a dot."""
    plain = {key.replace("__", "."): value for key, value in attributes.items()}
    return Span("t", span_id, parent, span_id, 0, start, end, plain, [], [], 0, "", "app", "", {"service.name": "shop"})


@cache
def recorded() -> list[tuple[str, list[Span], list[LogEvent]]]:
    recording = Recording()
    for path in sorted(FOLDER.rglob("*.otlp*")):
        recording.add(path.read_bytes(), path.name)
    return [
        (trace_id.hex(), [decode_span(s) for s in slices], [decode_log(e) for e in recording.events.get(trace_id, [])])
        for trace_id, slices in recording.spans.items()
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_spans_makes_no_difference(seed: int) -> None:
    shuffle = random.Random(seed).shuffle
    for trace_id, spans, events in recorded():
        wanted = normalise(trace_id, spans, events)
        mixed = list(spans)
        shuffle(mixed)
        assert normalise(trace_id, mixed, events) == wanted


def test_normalising_changes_no_span() -> None:
    for trace_id, spans, events in recorded():
        before = deepcopy((spans, events))
        normalise(trace_id, spans, events)
        assert (spans, events) == before


def test_losing_any_one_span_is_survived() -> None:
    for trace_id, spans, events in recorded():
        for lost in range(len(spans)):
            normalise(trace_id, spans[:lost] + spans[lost + 1 :], events)


hostile_text = st.sampled_from(
    ['{"broken', "[]", "{}", '"quoted"', "null", '[["user"]]', "[1, null]", "{'a': 1}", "", "\ud800", "9" * 400, "nan"]
) | st.text(max_size=20)
hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | hostile_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(sorted({*"ab", "role", "content",
        "parts", "type", "tool_calls", "function", "name", "arguments", "kwargs", "data", "messages", "id",
        "choices", "message", "text", "metadata", "score", "raw", "generations", "args"})), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_attribute_value_can_break_it(data: st.DataObject) -> None:
    trace_id, spans, events = deepcopy(data.draw(st.sampled_from(recorded())))
    for one in data.draw(st.lists(st.sampled_from(spans), min_size=1, max_size=3)):
        for key in data.draw(st.lists(st.sampled_from(sorted(one.attributes) or ["x"]), min_size=1, max_size=5)):
            one.attributes[key] = data.draw(hostile)
    for event in events[:2]:
        event.body = data.draw(hostile)
        event.attributes["gen_ai.input.messages"] = data.draw(hostile)
    assert isinstance(normalise(trace_id, spans, events), Trace)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_index_and_no_span_event_can_break_it(data: st.DataObject) -> None:
    index = st.sampled_from(["0", "7", "-1", "x", "999999999999", "", "٣", "1.2"])
    attributes = {
        "openinference.span.kind": data.draw(st.sampled_from(["LLM", "TOOL", "RETRIEVER", 5])),
        f"llm.input_messages.{data.draw(index)}.message.role": data.draw(hostile),
        f"llm.input_messages.{data.draw(index)}.message.tool_calls.{data.draw(index)}.tool_call.function.name": "f",
        f"retrieval.documents.{data.draw(index)}.document.metadata": data.draw(hostile),
        f"gen_ai.prompt.{data.draw(index)}.content": data.draw(hostile),
    }
    one = span("a", None, 0, 1)
    one.attributes = attributes
    one.events = [SpanEvent(name, 0, {"gen_ai.event.content": data.draw(hostile), "message": data.draw(hostile)})
                  for name in ("gen_ai.user.message", "gen_ai.choice", "exception", "db.query.result")]  # fmt: skip
    assert isinstance(normalise("t", [one]), Trace)


@pytest.mark.parametrize(
    "opening", ["[", '{"input":', '{"messages":[', '{"role":"user","content":[', '{"type":"json","value":']
)
@pytest.mark.parametrize("levels", [100, 400, 5000])
def test_json_nested_however_deep_is_read_or_left_as_text(opening: str, levels: int) -> None:
    closing = "".join({"[": "]", "{": "}"}[bracket] for bracket in reversed(opening) if bracket in "[{")
    deep = opening * levels + '"x"' + closing * levels
    for trace_id, spans, events in recorded():
        for one in deepcopy(spans):
            texts = [key for key, value in one.attributes.items() if isinstance(value, str) and value[:1] in "[{"]
            one.attributes |= dict.fromkeys(texts, deep)
            trace = normalise(trace_id, [one], events)
            assert as_line(trace).startswith(b"{")


def test_parents_in_a_circle_are_survived() -> None:
    spans = [
        span("a", "b", 0, 9, gen_ai__operation__name="chat", gen_ai__request__model="m"),
        span("b", "a", 1, 8, gen_ai__operation__name="chat", gen_ai__request__model="m"),
        span("c", "c", 2, 7, gen_ai__operation__name="execute_tool", gen_ai__tool__name="f"),
    ]
    assert isinstance(normalise("t", spans), Trace)


def test_a_long_chain_of_calls_costs_linear_time_and_no_recursion() -> None:
    spans = [
        span(str(n), str(n - 1) if n else None, n, 40_000 - n, gen_ai__operation__name="chat") for n in range(10_000)
    ]
    assert len(normalise("t", spans).llm_calls) == 1


def _lines_run(work: Callable[[], object]) -> int:
    """How many lines of the collector's code it takes: work without a clock."""
    count = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal count
        if event == "call" and "/collector/" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def _chat(number: int, parent: int | None, kind: str) -> Span:
    said = [{"role": "user", "parts": [{"type": "text", "content": f"What is {number}?"}]}]
    told: dict[str, Any] = {"gen_ai__operation__name": kind, "gen_ai__tool__name": "look_up"}
    if kind == "chat":
        told |= {"gen_ai__input__messages": orjson.dumps(said).decode(), "gen_ai__usage__input_tokens": number}
    return span(f"{number:016x}", None if parent is None else f"{parent:016x}", number, 10**6 - number, **told)


@pytest.mark.parametrize(
    "kinds", [("invoke_agent", "chat"), ("chat",), ("execute_tool",), ("invoke_agent", "chat", "execute_tool")]
)
@pytest.mark.parametrize("deep", [False, True])
def test_ten_times_the_spans_are_ten_times_the_work_also_where_each_is_in_the_one_before(
    kinds: tuple[str, ...], deep: bool
) -> None:
    def spans(count: int) -> list[Span]:
        return [
            _chat(number, (number - 1 if deep else 0) if number else None, kinds[number % len(kinds)])
            for number in range(count)
        ]

    few, many = spans(40), spans(400)
    normalise("t", few)  # what is done once only
    assert _lines_run(lambda: normalise("t", many)) < 11.5 * _lines_run(lambda: normalise("t", few))


def test_links_to_other_traces_are_kept_once_and_those_within_it_or_without_valid_ids_are_not() -> None:
    first, second = span("a" * 16), span("b" * 16, start=1)
    first.links = [("1" * 32, "2" * 16), ("t", "2" * 16), ("", ""), ("0" * 32, "2" * 16), ("1" * 32, "0" * 16)]
    second.links = [("1" * 32, "2" * 16), ("1" * 32, "3" * 16), ("4" * 32, "2" * 16), ("x", "y")]
    assert normalise("t", [second, first]).links == [
        Link("1" * 32, "2" * 16, "a" * 16),
        Link("1" * 32, "3" * 16, "b" * 16),
        Link("4" * 32, "2" * 16, "b" * 16),
    ]


def test_of_a_million_links_the_first_thousand_are_kept() -> None:
    one = span("a" * 16)
    one.links = [(f"{number:032x}", f"{number:016x}") for number in range(1, 20_000)]
    assert len(normalise("t", [one]).links) == 1_000


def test_a_trace_of_no_spans_is_empty() -> None:
    assert normalise("t", []) == Trace("t")


def test_the_frame_comes_from_the_root_even_if_it_says_nothing_about_ai() -> None:
    trace = normalise("t", [span("child", "root", 2, 5, gen_ai__operation__name="chat"), span("root", None, 1, 9)])
    assert (trace.root_span_id, trace.name, trace.start_ns, trace.end_ns, trace.span_count) == ("root", "root", 1, 9, 2)
    assert trace.service == "shop"


def test_without_a_root_the_trace_says_so() -> None:
    trace = normalise("t", [span("child", "missing", 2, 5, gen_ai__operation__name="chat")])
    assert (trace.root_span_id, trace.name) == (None, "child")


def test_zero_tokens_are_zero_and_not_missing() -> None:
    (call,) = normalise(
        "t", [span("a", gen_ai__operation__name="chat", gen_ai__usage__input_tokens=0, gen_ai__usage__output_tokens=0)]
    ).llm_calls
    assert (call.input_tokens, call.output_tokens, call.cached_input_tokens) == (0, 0, None)


def test_a_span_that_says_nothing_about_ai_is_no_step() -> None:
    trace = normalise("t", [span("http", None, 0, 5, http__method="POST"), span("db", "http", 1, 2)])
    assert list(trace.operations()) == []
    assert trace.dialects == []


def test_session_and_user_are_found_on_any_span_and_redacted_ones_are_not() -> None:
    scrubbed = span("a", None, 0, 9, session_id="[Scrubbed due to 'session']", user__id="u1")
    told = span("b", "a", 1, 2, traceloop__association__properties__session_id="s1")
    trace = normalise("t", [scrubbed, told])
    assert (trace.session_id, trace.user_id) == ("s1", "u1")


def test_two_dialects_in_one_trace_are_each_read_in_their_own() -> None:
    spans = [
        span("a", None, 0, 9, openinference__span__kind="AGENT", agent__name="desk"),
        span("b", "a", 1, 2, gen_ai__operation__name="chat", gen_ai__request__model="m1"),
        span("c", "a", 3, 4, ai__operationId="ai.toolCall", ai__toolCall__name="f"),
    ]
    trace = normalise("t", spans)
    assert trace.dialects == ["openinference", "otel-genai", "vercel-ai"]
    assert [call.request_model for call in trace.llm_calls] == ["m1"]
    assert [run.name for run in trace.tool_executions] == ["f"]


def test_a_call_under_an_operation_that_nobody_knows_is_read_by_its_shape() -> None:
    said = '[{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]'
    told = span("a", gen_ai__operation__name="achat", gen_ai__request__model="m", gen_ai__input__messages=said)
    wrapper = span("b", gen_ai__operation__name="cycle", gen_ai__request__model="m")
    (call,) = normalise("t", [told, wrapper]).llm_calls
    assert [message.text for message in call.input_messages] == ["hi"]


@pytest.mark.parametrize(("outer", "inner"), [("a", "b"), ("b", "a")])
def test_a_wrapper_with_the_very_times_of_what_it_wraps_is_still_its_wrapper(outer: str, inner: str) -> None:
    spans = [
        span(outer, None, gen_ai__operation__name="chat", gen_ai__request__model="m", gen_ai__usage__input_tokens=5),
        span(inner, outer, gen_ai__operation__name="chat", gen_ai__request__model="m", gen_ai__completion="yes"),
    ]
    (call,) = normalise("t", spans).llm_calls
    assert (call.span_id, call.output_text, call.input_tokens) == (inner, "yes", 5)


def test_an_answer_that_is_json_is_told_as_it_was_said() -> None:
    answer = '{"vendor": "Harbour",  "total": 4}'
    (call,) = normalise("t", [span("a", gen_ai__operation__name="chat", gen_ai__completion=answer)]).llm_calls
    assert call.output_text == answer
