"""What traces held, as far as it is still there: in the inbox, or in recordings that somebody kept."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from collector.core.engine import EVENTS_KIND, MOVED_KIND, TRACES_KIND, Entry
from collector.core.errors import Rejected, UserError
from collector.core.model import Trace
from collector.tenancy import tenant_of_record
from collector.wire.moved import unpack
from driftline.export.cases import has_content
from driftline.recording import Recording
from driftline.records import Sheet

EXPIRED = "its content is no longer kept"
PARTLY_EXPIRED = "a part of its content is no longer kept"
NO_CONTENT = "its spans carry no prompts and answers"


def recorded(wanted: Iterable[str], inbox: Iterable[Entry], files: Iterable[Path]) -> Recording:
    """The spans and log records of the wanted traces.

    Args:
        wanted: `owned_id` of each, in hexadecimal.
        inbox: records of the inbox.
        files: recordings, which are of no tenant.

    Raises:
        UserError: a file cannot be read.
        StoreError: the inbox cannot.
    """
    recording = Recording({bytes.fromhex(trace_id) for trace_id in wanted})
    for entry in inbox:
        try:
            for kind, request in requests(entry):
                tenant = tenant_of_record(entry.kind, entry.key)
                recording.add_request(kind, request, f"offset {entry.offset} of the inbox", tenant)
        except Rejected as error:
            recording.left_out.append(f"offset {entry.offset} of the inbox: {error.reason}: {error}")
    for path in files:
        try:
            recording.add(path.read_bytes(), path.name)
        except Rejected as error:
            raise UserError(f"--traces: {path}: {error.reason}: {error}") from None
        except OSError as error:
            raise UserError(f"--traces: {path}: {error.strerror or error}") from None
    return recording


def requests(entry: Entry) -> Iterator[tuple[str, bytes]]:
    """The OTLP requests in a record of the inbox. Raises Rejected."""
    if entry.kind in (TRACES_KIND, EVENTS_KIND, ""):
        yield entry.kind or TRACES_KIND, entry.value
    elif entry.kind == MOVED_KIND:
        arrived = unpack(entry.value)
        yield TRACES_KIND, arrived.traces
        yield EVENTS_KIND, arrived.logs


def with_content(
    chosen: Mapping[str, tuple[Sheet, list[dict[str, Any]]]], recording: Recording, missing: Counter[str]
) -> Iterator[tuple[Trace, Sheet, list[dict[str, Any]]]]:
    """The chosen traces whose content is all there; those that lack it are counted by what is the matter.

    A trace of which some spans have gone would make a case that never happened, so it makes none. `chosen` is by
    `owned_id`, in hexadecimal.
    """
    for trace_id, (sheet, scores) in chosen.items():
        raw = bytes.fromhex(trace_id)
        if raw not in recording.spans:
            missing[EXPIRED] += 1
            continue
        trace = recording.trace(raw)
        if trace.span_count < sheet["counts"]["spans"]:
            missing[PARTLY_EXPIRED] += 1
        elif not has_content(trace):
            missing[NO_CONTENT] += 1
        else:
            yield trace, sheet, scores
