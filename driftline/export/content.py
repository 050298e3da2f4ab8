"""What traces held, as far as it is still there: in the inbox, or in recordings that somebody kept."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from collector.core.engine import EVENTS_KIND, TRACES_KIND, Entry
from collector.core.errors import Rejected, UserError
from collector.core.model import Trace
from driftline.export.cases import has_content
from driftline.recording import Recording
from driftline.records import Sheet

EXPIRED = "its content is no longer kept"
PARTLY_EXPIRED = "a part of its content is no longer kept"
NO_CONTENT = "its spans carry no prompts and answers"


def recorded(wanted: Iterable[str], inbox: Iterable[Entry], files: Iterable[Path]) -> Recording:
    """The spans and log records of the wanted traces.

    Raises:
        UserError: a file cannot be read.
        StoreError: the inbox cannot.
    """
    recording = Recording({bytes.fromhex(trace_id) for trace_id in wanted})
    for entry in inbox:
        if entry.kind in (TRACES_KIND, EVENTS_KIND):
            try:
                recording.add_request(entry.kind, entry.value, f"offset {entry.offset} of the inbox")
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


def with_content(
    chosen: Mapping[str, tuple[Sheet, list[dict[str, Any]]]], recording: Recording, missing: Counter[str]
) -> Iterator[tuple[Trace, Sheet, list[dict[str, Any]]]]:
    """The chosen traces whose content is all there; those that lack it are counted by what is the matter.

    A trace of which some spans have gone would make a case that never happened, so it makes none.
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
