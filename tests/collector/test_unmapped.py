"""What was not understood is told, and nothing else is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.model import JSON, LogEvent, Span, SpanEvent
from collector.core.telemetry import Telemetry
from collector.dialects.mapping import Dialect
from collector.dialects.reads import reads
from collector.dialects.registry import DIALECTS
from collector.unmapped import NO_DIALECT, Survey
from collector.unmapped_counter import FIRST_TRACES, ONE_IN, UnmappedCounter
from driftline.recording import Recording

FOLDER = Path(__file__).parents[1] / "data" / "traces"


def span(attributes: dict[str, JSON], scope: str = "", events: list[SpanEvent] | None = None) -> Span:
    return Span("t", "s", None, "chat", 1, 0, 1, attributes, events or [], [], 0, "", scope, "", {})


def told(*spans: Span, events: list[LogEvent] | None = None) -> dict[tuple[str, str], int]:
    survey = Survey()
    survey.add(spans, events or [])
    return {(one.dialect, one.key): one.spans for one in survey.findings()}


CHAT: dict[str, JSON] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


def test_an_attribute_that_no_mapping_reads_is_told_with_type_and_size() -> None:
    survey = Survey()
    survey.add([span({**CHAT, "gen_ai.new.thing": "four"}), span({**CHAT, "gen_ai.new.thing": "seventeen"})])
    (found,) = survey.findings()
    assert (found.dialect, found.where, found.key, found.spans) == ("otel-genai", "span", "gen_ai.new.thing", 2)
    assert (found.types, found.smallest, found.largest) == ({"string"}, 4, 9)


def test_numbers_in_a_key_are_one_key_and_count_once_a_span() -> None:
    attributes = {**CHAT, **{f"gen_ai.turns.{n}.content": "hi" for n in range(20)}}
    assert told(span(attributes)) == {("otel-genai", "gen_ai.turns.N.content"): 1}


def test_the_same_keys_are_read_where_the_dialect_has_a_flat_list_of_them() -> None:
    attributes = {**CHAT, **{f"gen_ai.prompt.{n}.content": "hi" for n in range(20)}}
    assert told(span(attributes, "opentelemetry.instrumentation.openai.v1")) == {}


def test_attributes_of_other_matters_and_known_ones_are_not_told() -> None:
    other = {"http.route": "/", "thread.id": 1, "code.function": "f", "server.port": 1, "gen_ai.request.top_p": 1.0}
    assert told(span({**CHAT, **other})) == {}


def test_a_span_of_no_dialect_is_looked_at_only_if_it_seems_to_be_about_ai() -> None:
    assert told(span({"llm.new_vendor.prompt": "hi", "cart": 3}), span({"cart": 3})) == {
        (NO_DIALECT, "llm.new_vendor.prompt"): 1,
        (NO_DIALECT, "cart"): 1,
    }


def test_a_kind_of_step_that_nobody_knows_is_told() -> None:
    survey = Survey()
    survey.add([span({"gen_ai.operation.name": "search_memory"})])
    (found,) = survey.findings()
    assert found.key == "gen_ai.operation.name"
    assert "no kind of step" in found.note


def test_events_are_told_unless_their_messages_are_read() -> None:
    events = [
        SpanEvent("gen_ai.user.message", 0, {"content": "hi"}),
        SpanEvent("exception", 0, {"exception.message": "no", "mood": "bad"}),
        SpanEvent("gen_ai.new", 0, {"gen_ai.x": 1}),
    ]
    logs = [
        LogEvent("t", "s", "gen_ai.choice", 0, {"message": "hi"}, {}, "", {}),
        LogEvent("t", "s", "gen_ai.newer", 0, {"message": "hi"}, {"gen_ai.y": [1]}, "", {}),
    ]
    assert told(span(CHAT, events=events), events=logs) == {
        ("otel-genai", "gen_ai.x"): 1,
        ("otel-genai", "gen_ai.y"): 1,
        ("otel-genai", "(body)"): 1,
    }


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_what_a_dialect_reads_is_found_from_its_mapping(dialect: Dialect) -> None:
    found = reads(dialect)
    declared = {source for sources in dialect.llm.values() for source in sources if isinstance(source, str)}
    inside = {source.key for sources in dialect.llm.values() for source in sources if hasattr(source, "key")}
    assert declared | inside <= found.keys
    assert {"session.id", *dialect.markers} <= found.keys


def test_readers_that_are_functions_are_asked_too() -> None:
    by_name = {dialect.name: reads(dialect) for dialect in DIALECTS}
    assert {"gen_ai.input.messages", "gen_ai.tool.call.result"} <= by_name["google-adk"].keys
    assert "haystack.tool.error" in by_name["haystack"].keys
    assert "gen_ai.completion." in by_name["openllmetry"].prefixes
    assert "db.query.result" in by_name["openllmetry"].events
    assert "langfuse.observation.level" in by_name["langfuse"].keys
    assert {"gen_ai.tool.message", "gen_ai.choice"} <= by_name["strands"].events
    assert "gen_ai.content.prompt" in by_name["openlit"].events
    assert "db.query.result" in by_name["vector-stores"].events
    assert "gen_ai.usage.cache_read.input_tokens" in by_name["otel-botocore"].keys
    assert {"mastra.model_step.output", "mastra.model_generation.output"} <= by_name["mastra"].keys


KEYS = st.text(max_size=200) | st.from_regex(r"(gen_ai|llm|ai)(\.[a-z0-9]{1,4}){1,5}", fullmatch=True)
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=6), max_size=4), st.sampled_from(["", "ai", "haystack", "x"]))
def test_nothing_raises_and_a_metric_has_no_label_of_an_applications_own(
    found: list[dict[str, JSON]], scope: str
) -> None:
    telemetry = Telemetry()
    counter = UnmappedCounter(telemetry)
    for attributes in found:
        counter.look(b"\x00" * 16, [span(attributes, scope)], [])
    (metric,) = [one for one in telemetry.instruments() if one.name == "driftline_unmapped_attributes"]
    for _, key in metric.values():  # type: ignore[attr-defined]
        assert key == "other" or (len(key.split(".")) <= 3 and key.isascii() and len(key) < 130)


def test_the_counter_looks_at_the_first_traces_and_then_at_one_of_many() -> None:
    telemetry = Telemetry()
    counter = UnmappedCounter(telemetry)
    strange = span({**CHAT, "gen_ai.new.thing": 1})
    for number in range(FIRST_TRACES + 10 * ONE_IN):
        counter.look(bytes([0] * 15 + [number % 256]), [strange], [])
    metrics = {one.name: one.values() for one in telemetry.instruments()}  # type: ignore[attr-defined]
    assert metrics["driftline_unmapped_checked_traces"] == {(): FIRST_TRACES + 10}
    assert metrics["driftline_unmapped_attributes"] == {("otel-genai", "gen_ai.new.thing"): FIRST_TRACES + 10}


def test_families_of_keys_are_bounded() -> None:
    telemetry = Telemetry()
    counter = UnmappedCounter(telemetry)
    for number in range(200):
        counter.look(b"\x00" * 16, [span({**CHAT, f"gen_ai.new{number}.thing": 1})], [])
    values = telemetry.counter("driftline_unmapped_attributes", "", ["dialect", "key"]).values()
    assert len(values) == 101
    assert values["otel-genai", "other"] == 100


def test_recordings_of_every_dialect_are_read_but_for_what_the_application_named_itself() -> None:
    recording = Recording()
    for path in sorted(FOLDER.glob("*/*.*")):
        if "expected" not in path.name and path.suffix in (".pb", ".json"):
            recording.add(path.read_bytes(), path.name)
    survey = Survey()
    for trace_id in recording.spans:
        survey.add(*recording.decoded(trace_id))
    its_own = ("gen_ai.prompt.variable.", "traceloop.association.properties.")
    assert [(one.dialect, one.key) for one in survey.findings() if not one.key.startswith(its_own)] == []
