"""A cast is the recording with other ids, times, texts and resource, and otherwise the same."""

import re

import pytest
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import TRACES_KIND
from driftline.demo.recordings import log_records, shipped_sample, spans
from driftline.demo.template import Casting, Template, fresh_id

SAMPLE = shipped_sample()
NOW_NS = 1_800_000_000 * 10**9


def casting(key: bytes = b"one", **texts: str) -> Casting:
    return Casting(key, NOW_NS, 2.0, {"service.name": "mine", "service.version": "9"}, texts)


def all_text(cast: list[tuple[str, Message]]) -> str:
    """Everything a cast says, without the escapes of JSON at any depth."""
    text = "".join(MessageToJson(message, ensure_ascii=False) for _, message in cast)
    text = re.sub(r"\\+u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)
    return re.sub(r"\\+n|\\", "", text)


@pytest.fixture(scope="module", params=sorted(SAMPLE))
def template(request: pytest.FixtureRequest) -> Template:
    return Template(SAMPLE[request.param])


def test_no_recorded_id_survives_and_no_two_casts_share_one(template: Template) -> None:
    recording = template.recording
    seen: set[bytes] = set()
    for kind, message in recording.messages():
        if kind == TRACES_KIND:
            seen |= {item for span in spans(message) for item in (span.trace_id, span.span_id)}
    provider_ids = set(recording.provider_ids)
    for key in (b"one", b"two"):
        cast = template.cast(casting(key))
        found = [span for kind, message in cast if kind == TRACES_KIND for span in spans(message)]
        ids = {item for span in found for item in (span.trace_id, span.span_id)}
        assert not ids & seen
        seen |= ids
        text = all_text(cast)
        assert not [known for known in provider_ids if known in text]
        assert len({span.span_id for span in found}) == len(found)


def test_parents_and_log_records_still_point_at_their_spans(template: Template) -> None:
    cast = template.cast(casting())
    known = {(s.trace_id, s.span_id) for kind, m in cast if kind == TRACES_KIND for s in spans(m)}
    for kind, message in cast:
        if kind == TRACES_KIND:
            for span in spans(message):
                assert not span.parent_span_id or (span.trace_id, span.parent_span_id) in known
        else:
            assert all((record.trace_id, record.span_id) in known for record in log_records(message))


def test_times_move_to_the_slot_and_stretch_evenly(template: Template) -> None:
    recorded = [s for kind, m in template.recording.messages() if kind == TRACES_KIND for s in spans(m)]
    cast = [s for kind, m in template.cast(casting()) if kind == TRACES_KIND for s in spans(m)]
    first_ns = min(span.start_time_unix_nano for span in recorded)
    for old, new in zip(recorded, cast, strict=True):
        assert abs(new.start_time_unix_nano - NOW_NS - 2 * (old.start_time_unix_nano - first_ns)) <= 2
        assert abs(new.end_time_unix_nano - NOW_NS - 2 * (old.end_time_unix_nano - first_ns)) <= 2
        assert new.start_time_unix_nano <= new.end_time_unix_nano


def test_the_resource_is_ours_and_keeps_what_else_it_said(template: Template) -> None:
    for (_, old), (kind, new) in zip(template.recording.messages(), template.cast(casting()), strict=True):
        field = "resource_spans" if kind == TRACES_KIND else "resource_logs"
        for before, after in zip(getattr(old, field), getattr(new, field), strict=True):
            wanted = {a.key: a.value.string_value for a in before.resource.attributes}
            found = {a.key: a.value.string_value for a in after.resource.attributes}
            assert found == {**wanted, "service.name": "mine", "service.version": "9"}


def test_casting_twice_gives_the_same_bytes(template: Template) -> None:
    first, second = template.cast(casting()), template.cast(casting())
    assert [m.SerializeToString(deterministic=True) for _, m in first] == [
        m.SerializeToString(deterministic=True) for _, m in second
    ]


def test_an_answer_is_replaced_everywhere_it_was_recorded(template: Template) -> None:
    answer = template.recording.answer or ""
    if not answer or answer.startswith("{") or "\n" in answer or max(answer) > "\uffff":
        return  # no text, or one that cannot be counted so simply
    before = all_text(template.cast(casting()))
    after = all_text(template.cast(casting(answer='Something "else" – with 7 µg,\nand more')))
    places = before.count(answer)
    assert after.count('Something "else" – with 7 µg,and more') == places
    assert answer not in after
    assert places > 0


def test_nothing_but_ids_times_and_resource_changes_without_new_texts() -> None:
    recording = SAMPLE["openinference-langchain/rag_health"]
    assert recording.provider_ids
    template = Template(recording)
    ((_, old),) = recording.messages()
    ((_, new),) = template.cast(Casting(b"one", NOW_NS, 1.0, {}, {"provider_id.0": recording.provider_ids[0]}))
    assert isinstance(old, ExportTraceServiceRequest)
    for before, after in zip(spans(old), spans(new), strict=True):
        assert after.name == before.name
        assert list(after.attributes) == list(before.attributes)
        assert after.status == before.status


def test_the_prompt_version_is_replaced_by_its_key_alone() -> None:
    template = Template(SAMPLE["openinference-llama-index/rag_health"])
    cast = template.cast(casting(prompt_version="v8"))
    found = [
        attribute.value.string_value
        for kind, message in cast
        if kind == TRACES_KIND
        for span in spans(message)
        for attribute in span.attributes
        if attribute.key == "llm.prompt_template.version"
    ]
    assert set(found) == {"v8"}


def test_no_id_stays_no_id() -> None:
    assert fresh_id(b"key", b"") == b""
    assert len(fresh_id(b"key", bytes(8))) == 8
