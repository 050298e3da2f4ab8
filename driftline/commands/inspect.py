"""`driftline inspect`: what Driftline understands of recorded traces."""

import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path

import click
import orjson

from collector.core.errors import Rejected
from collector.core.model import Trace
from collector.redaction.config import RedactConfig, attribute_lists
from collector.redaction.redactor import Redactor
from collector.redaction.traces import redact_trace
from collector.unmapped import Survey
from driftline.commands.trace_tree import print_trace
from driftline.commands.unmapped_table import finding_as_line, print_findings
from driftline.recording import Recording

EXIT_FAILED = 3


@click.command("inspect")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object per trace and line.")
@click.option("--full", is_flag=True, help="Show texts whole instead of their beginnings.")
@click.option("--unmapped", is_flag=True, help="Show what is not understood instead; with --full, with values.")
@click.option("--redact", is_flag=True, help="Replace personal data and credentials by marks such as [EMAIL].")
@click.pass_context
def command(
    context: click.Context, files: tuple[Path, ...], as_json: bool, full: bool, unmapped: bool, redact: bool
) -> None:
    """Show what Driftline understands of recorded traces.

    FILES hold OTLP traces or logs, in protobuf or JSON (also one request a line), gzipped or not. The kind is found
    from the bytes. Log events are joined to their spans across all files given.
    """
    recording = Recording()
    failures = list(_failures(recording, files))
    if unmapped and redact:
        raise click.UsageError("--redact is for traces; --unmapped shows values only with --full")
    if unmapped:
        _show_unmapped(recording, as_json, full)
    else:
        _show_traces(recording, as_json, full, redact)
    for problem in [*failures, *recording.left_out]:
        click.echo(f"driftline inspect: {problem}", err=True)
    context.exit(EXIT_FAILED if failures else 0)


def _show_traces(recording: Recording, as_json: bool, full: bool, redact: bool) -> None:
    traces = recording.traces()
    if redact:
        redactor, lists = Redactor(), attribute_lists(RedactConfig())
        for trace in traces:
            redact_trace(trace, redactor, lists)
    if as_json:
        for trace in traces:
            sys.stdout.buffer.write(as_line(trace))
        sys.stdout.buffer.flush()
    else:
        print_trace(traces, full)


def _show_unmapped(recording: Recording, as_json: bool, full: bool) -> None:
    survey = Survey()
    for trace_id in recording.spans:
        survey.add(*recording.decoded(trace_id))
    if as_json:
        for finding in survey.findings():
            sys.stdout.buffer.write(finding_as_line(finding, full))
        sys.stdout.buffer.flush()
    else:
        print_findings(survey.findings(), full)


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
