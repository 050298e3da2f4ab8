"""The shipped sample: small, readable, and of many dialects."""

import importlib.util
import io
import tarfile
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from driftline.demo.recordings import Recording, log_records, read_archive, shipped_sample, spans
from driftline.demo.services import SERVICES
from driftline.demo.texts import subject_of, subjects

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "driftline" / "demo" / "sample"


@pytest.fixture(scope="module")
def sample() -> dict[str, Recording]:
    return shipped_sample()


@pytest.fixture(scope="module")
def make_sample() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample", ROOT / "benchmarks" / "make_sample.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sample_is_small_and_says_where_it_comes_from() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 400_000
    assert "Recordings of real OpenTelemetry traffic" in (FOLDER / "NOTICE").read_text()


def test_retrieval_was_recorded_in_at_least_four_dialects(sample: dict[str, Recording]) -> None:
    dialects = {label.split("/")[0] for label in sample if "/rag_" in label}
    assert {label.split("-")[0] for label in dialects} == {"otel", "openinference", "openllmetry"}
    assert len(dialects) >= 4


def test_every_kind_of_traffic_is_there(sample: dict[str, Recording]) -> None:
    names = " ".join(recording.name for recording in sample.values())
    for kind in ("chat_", "agent", "tools_", "structured_", "error_", "refusal", "_de", "_es", "_ja", "image_"):
        assert kind in names, kind


def test_content_stands_in_log_events_alone_in_some_recordings(sample: dict[str, Recording]) -> None:
    recording = sample["otel-openai-v2-legacy/chat_support"]
    assert recording.answer is not None
    assert recording.answer.encode() not in b"".join(b.content for b in recording.bodies if b.kind == TRACES_KIND)
    assert recording.answer.encode() in b"".join(b.content for b in recording.bodies if b.kind == EVENTS_KIND)


def test_every_body_can_be_decoded_and_holds_something(sample: dict[str, Recording]) -> None:
    for recording in sample.values():
        kinds = Counter(kind for kind, _ in recording.messages())
        assert kinds[TRACES_KIND] >= 1, recording.label
        for kind, message in recording.messages():
            items = list(spans(message) if kind == TRACES_KIND else log_records(message))
            assert items, recording.label


def test_every_trace_has_its_root(sample: dict[str, Recording]) -> None:
    for recording in sample.values():
        found = [span for kind, message in recording.messages() if kind == TRACES_KIND for span in spans(message)]
        roots = {span.trace_id for span in found if not span.parent_span_id}
        assert len(roots) == recording.trace_count == len({span.trace_id for span in found}), recording.label


def test_services_play_only_what_is_shipped_and_all_of_it(sample: dict[str, Recording]) -> None:
    played = {label for service in SERVICES for label in (*service.mix, *service.errors)}
    assert played <= sample.keys()
    assert all(sample[label].failed for service in SERVICES for label in service.errors)
    assert {label for label in sample if label.split("/")[1].startswith("rag_")} <= played


def test_services_share_all_the_traffic() -> None:
    assert sum(service.share for service in SERVICES) == pytest.approx(1.0)


def test_each_retrieval_recording_has_a_subject_with_enough_to_say(sample: dict[str, Recording]) -> None:
    for recording in sample.values():
        subject = subject_of(recording.name)
        assert (subject is not None) == recording.name.startswith("rag_")
    for subject in subjects().values():
        assert len(set(subject.invented)) >= 4
        assert subject.grounded
        assert subject.refusals


def test_a_sample_is_made_of_the_bodies_as_they_are(
    sample: dict[str, Recording], make_sample: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    recording = sample["otel-genai-openai/chat_support"]
    with tarfile.open(FOLDER / "otel-genai-openai.tar.gz") as tar:
        for entry in tar.getmembers():
            if entry.name.startswith("chat_support.") and entry.name.endswith(".pb"):
                file = tar.extractfile(entry)
                assert file is not None
                (folder / entry.name).write_bytes(file.read())
    (folder / "chat_support.expected.json").write_text(
        '{"llm_calls": [{"output_text": "yes"}], "any_llm_error": false, "session_id": "s"}'
    )
    content = make_sample.archive(folder, ("chat_support",))
    assert content == make_sample.archive(folder, ("chat_support",))
    path = tmp_path / "mine.tar.gz"
    path.write_bytes(content)
    (made,) = read_archive(path)
    assert made.label == "mine/chat_support"
    assert sorted(b.content for b in made.bodies) == sorted(b.content for b in recording.bodies)
    assert (made.answer, made.session_id, made.model_calls, made.failed) == ("yes", "s", 1, False)
    assert made.provider_ids == recording.provider_ids != ()


def test_a_recording_that_is_not_there_is_named(make_sample: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(make_sample.click.ClickException, match="no recording chat_nothing"):
        make_sample.archive(tmp_path, ("chat_nothing",))


def test_archives_hold_only_plain_files() -> None:
    for path in FOLDER.glob("*.tar.gz"):
        with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as tar:
            assert all(entry.isfile() and "/" not in entry.name for entry in tar.getmembers())
