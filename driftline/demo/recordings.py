"""The shipped sample: recorded requests of real instrumentation libraries, and which texts in them may be replaced."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from io import BytesIO
from typing import Any, Protocol

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import EVENTS_KIND, TRACES_KIND


class Archive(Protocol):
    """A file of the sample: what of a path we need."""

    @property
    def name(self) -> str: ...

    def read_bytes(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Body:
    """One recorded request."""

    kind: str  # TRACES_KIND or EVENTS_KIND
    content: bytes


@dataclass(frozen=True)
class Recording:
    """The requests of one run of a small application, in the order in which they were sent."""

    dialect: str
    name: str
    bodies: tuple[Body, ...]
    answer: str | None  # the final text of the model, where it ended with one
    provider_ids: tuple[str, ...]  # of responses and tool calls
    session_id: str | None
    user_id: str | None
    prompt_version: str | None
    model_calls: int
    failed: bool

    @property
    def label(self) -> str:
        return f"{self.dialect}/{self.name}"

    def messages(self) -> Iterator[tuple[str, Any]]:
        """Each body, decoded anew: (kind, request message)."""
        for body in self.bodies:
            kind = ExportTraceServiceRequest if body.kind == TRACES_KIND else ExportLogsServiceRequest
            yield body.kind, kind.FromString(body.content)

    @cached_property
    def trace_count(self) -> int:
        """How many traces the recording holds: a conversation may have one per turn."""
        return len(
            {span.trace_id for kind, message in self.messages() if kind == TRACES_KIND for span in spans(message)}
        )


def spans(message: Any) -> Iterator[Any]:
    """The spans of an ExportTraceServiceRequest."""
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            yield from scope_spans.spans


def log_records(message: Any) -> Iterator[Any]:
    """The log records of an ExportLogsServiceRequest."""
    for resource_logs in message.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            yield from scope_logs.log_records


def shipped_sample() -> dict[str, Recording]:
    """All recordings that come with Driftline, by label ("openinference-langchain/rag_health")."""
    folder = files("driftline.demo").joinpath("sample")
    archives = sorted((item for item in folder.iterdir() if item.name.endswith(".tar.gz")), key=lambda item: item.name)
    return {recording.label: recording for archive in archives for recording in read_archive(archive)}


def read_archive(archive: Archive) -> list[Recording]:
    """The recordings of one dialect."""
    with tarfile.open(fileobj=BytesIO(archive.read_bytes()), mode="r:gz") as tar:
        contents = {entry.name: _content(tar, entry) for entry in tar.getmembers()}
    dialect = archive.name.removesuffix(".tar.gz")
    names = [name.removesuffix(".json") for name in contents if name.endswith(".json")]
    return [_recording(dialect, name, contents) for name in names]


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(entry)
    assert file is not None, f"{entry.name} is not a file"
    return file.read()


def _recording(dialect: str, name: str, contents: dict[str, bytes]) -> Recording:
    facts = orjson.loads(contents[f"{name}.json"])
    bodies = tuple(
        Body(EVENTS_KIND if ".otlp-logs." in file_name else TRACES_KIND, content)
        for file_name, content in contents.items()
        if file_name.startswith(f"{name}.") and file_name.endswith(".pb")
    )
    return Recording(dialect, name, bodies, **{**facts, "provider_ids": tuple(facts["provider_ids"])})
