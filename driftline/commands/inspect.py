"""`driftline inspect`: what Driftline understands of recorded traces."""

import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path

import click
import orjson

from collector.core.engine import TRACES_KIND
from collector.core.errors import Rejected
from collector.core.model import LogSlice, SpanSlice, Trace
from collector.merge import merge_repeats
from collector.normalise import normalise
from collector.wire.decode import decode_log, decode_span
from collector.wire.read import read_bodies
from collector.wire.split import split_logs, split_traces
from driftline.commands.trace_tree import print_trace

EXIT_FAILED = 3


class Recording:
    """The spans and log records of files, by trace, in order of their first span."""

    def __init__(self) -> None:
        self.spans: dict[bytes, list[SpanSlice]] = {}
        self.events: dict[bytes, list[LogSlice]] = {}
        self.left_out: list[str] = []

    def add(self, content: bytes, name: str) -> None:
        """Read one file.

        Raises:
            Rejected: it holds neither traces nor logs.
        """
        for kind, body in read_bodies(content, name):
            if kind == TRACES_KIND:
                spans = split_traces(body)
                for span in spans.slices:
                    self.spans.setdefault(span.trace_id, []).append(span)
                rejected = spans.rejected
            else:
                logs = split_logs(body)
                for event in logs.slices:
                    self.events.setdefault(event.trace_id, []).append(event)
                rejected = logs.rejected
            self.left_out += [f"{name}: {error.reason}: {error}" for error in rejected]

    def traces(self) -> list[Trace]:
        """All traces that have spans. A span that was recorded twice counts once; what is no span is left out."""
        found = []
        for trace_id, slices in self.spans.items():
            decoded = []
            for part in {part.span_id: part for part in slices}.values():
                try:
                    decoded.append(decode_span(part))
                except Rejected as error:
                    self.left_out.append(f"span {part.span_id.hex()}: {error.reason}: {error}")
            events = [decode_log(part) for part in self.events.get(trace_id, ())]
            found.append(normalise(trace_id.hex(), decoded, events))
        merge_repeats(found)
        return found


@click.command("inspect")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object per trace and line.")
@click.option("--full", is_flag=True, help="Show texts whole instead of their beginnings.")
@click.pass_context
def command(context: click.Context, files: tuple[Path, ...], as_json: bool, full: bool) -> None:
    """Show what Driftline understands of recorded traces.

    FILES hold OTLP traces or logs, in protobuf or JSON (also one request a line), gzipped or not. The kind is found
    from the bytes. Log events are joined to their spans across all files given.
    """
    recording = Recording()
    failures = list(_failures(recording, files))
    traces = recording.traces()
    for problem in [*failures, *recording.left_out]:
        click.echo(f"driftline inspect: {problem}", err=True)
    if as_json:
        for trace in traces:
            sys.stdout.buffer.write(as_line(trace))
        sys.stdout.buffer.flush()
    else:
        print_trace(traces, full)
    context.exit(EXIT_FAILED if failures else 0)


def _failures(recording: Recording, files: Iterable[Path]) -> Iterable[str]:
    """Read each file; what cannot be read is told, and the others go on."""
    for path in files:
        try:
            recording.add(path.read_bytes(), path.name)
        except Rejected as error:
            yield f"{path}: {error.reason}: {error}"
        except OSError as error:
            yield f"{path}: {error.strerror or error}"


def as_line(trace: Trace) -> bytes:
    """The trace as one line of JSON; NaN and what JSON cannot hold become null or text."""
    return orjson.dumps(
        dataclasses.asdict(trace), option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS, default=str
    )


if __name__ == "__main__":
    command()
