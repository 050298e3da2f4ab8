"""`driftline export`: scores, changes, failing traces and evidence, out of the store and into files."""

import gzip
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click
import orjson

from collector.core.clock import SystemClock
from collector.core.engine import SPANS
from collector.core.errors import DriftlineError, UserError
from collector.tenancy import owned_id
from driftline.build import open_redactor
from driftline.config import Config, load_config
from driftline.export.archive import verify
from driftline.export.cases import FORMATS, Format, case_of, in_format
from driftline.export.choose import Choice, choose
from driftline.export.content import EXPIRED, PARTLY_EXPIRED, recorded, with_content
from driftline.export.evidence import write_evidence
from driftline.export.files import appearing, refuse_existing
from driftline.export.parquet_period import export_parquet
from driftline.export.period import Period, parse_period
from driftline.export.rows import score_rows
from driftline.export.schemas import FORMS, schema
from driftline.flow import load_parts, units
from driftline.store_files import records_behind
from driftline.store_reading import read_log
from driftline.view import View, view_path

_EXIT_NO = 1
_MOST_CASES = 1_000

F = TypeVar("F", bound=Callable[..., Any])


def _options(*, dated: bool = False) -> Callable[[F], F]:
    """What the commands that read the store have in common; `dated`: the period must be given."""

    def add(function: F) -> F:
        for option in (
            click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON."),
            click.option("--to", "end", help="Before this day, moment, or time ago (2026-04-01, 1h); else: no end."),
            click.option("--from", "begin", required=dated, help="From this day, moment, or time ago on (24h)."),
            click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The service's YAML file."),
        ):
            function = option(function)
        return function

    return add


@click.group("export", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Take scores, changes, failing traces or evidence out of the store.

    What is to leave continuously is configured in `export:`. Reading disturbs no service that runs.
    """


@command.command("parquet")
@_options()
@click.option("--unscored", is_flag=True, help="Also candidates without a score, with the reason.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def parquet(path: Path | None, begin: str | None, end: str | None, as_json: bool, unscored: bool, folder: Path) -> None:
    """Write scores and changes of a period as Parquet files by day into DIR."""
    _, view, period = _asked(path, begin, end)
    with _writing(folder):
        written = export_parquet(view, period, folder, unscored)
    _print(written, as_json, f"{written['scores']} scores and {written['changes']} changes of {period}: {folder}")


@command.command("scores")
@_options()
@click.option("--scorer", help="Only the scores of this scorer.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
def scores(
    path: Path | None, begin: str | None, end: str | None, as_json: bool, scorer: str | None, force: bool, target: Path
) -> None:
    """Write the scores of a period, a line of JSON each, into FILE (`-`: standard output; .gz: packed).

    What a monitor takes as its `baseline`.
    """
    if str(target) != "-":
        refuse_existing("FILE", target, force)
    _, view, period = _asked(path, begin, end)
    written = 0
    with _writing(target), _lines(target) as out:
        for sheet in view.sheets_between(period.from_ns, period.to_ns):
            for row in score_rows(sheet):
                if row["decision"] == "scored" and scorer in (None, row["scorer"]):
                    out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
                    written += 1
    _print({"scores": written}, as_json, f"{written} scores of {period}: {target}", to_stderr=str(target) == "-")


@command.command("cases")
@_options()
@click.option("--scorer", help="Only for the scores of this scorer.")
@click.option("--failing/--all", default=True, help="Traces with a score that did not pass (the default), or any.")
@click.option("--slice", "slices", multiple=True, metavar="NAME=VALUE", help="Only these; may be given more than once.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="driftline", show_default=True)
@click.option("--redact/--no-redact", default=True, help="Replace personal data and credentials by marks (default).")
@click.option(
    "--limit", type=click.IntRange(1), default=_MOST_CASES, show_default=True, help="Most traces: the newest."
)
@click.option(
    "--traces", "files", multiple=True, type=click.Path(path_type=Path), help="Recorded OTLP that has the content too."
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
def cases(
    path: Path | None,
    begin: str | None,
    end: str | None,
    as_json: bool,
    scorer: str | None,
    failing: bool,
    slices: tuple[str, ...],
    form: Format,
    redact: bool,
    limit: int,
    files: Sequence[Path],
    force: bool,
    target: Path,
) -> None:
    """Write failing traces as regression cases, a line of JSON each, into FILE (`-`: standard output; .gz: packed).

    The content of traces is kept for `assemble.revision_window` only; what has gone is counted. Give recordings of the
    same traffic with --traces to have more of it.
    """
    if str(target) != "-":
        refuse_existing("FILE", target, force)
    config, view, period = _asked(path, begin, end)
    choice = Choice(scorer, failing, _pairs(slices))
    newest = deque(choose(view.sheets_between(period.from_ns, period.to_ns), choice), maxlen=limit)
    chosen = {owned_id(found[0]["trace_id"], found[0].get("tenant", "")).hex(): found for found in newest}
    missing: Counter[str] = Counter()
    written = redacted = 0
    redactor = open_redactor(config, read_only=True) if redact else None
    with _writing(target):
        recording = recorded(chosen, read_log(config, SPANS) if chosen else (), _expanded(files))
        with _lines(target) as out:
            for trace, sheet, scores in with_content(chosen, recording, missing):
                case = case_of(trace, sheet, scores, redactor)
                out.write(orjson.dumps(in_format(case, form), option=orjson.OPT_APPEND_NEWLINE))
                written += 1
                redacted += case["provenance"]["redacted"] or 0
    outcome = {"chosen": len(chosen), "written": written, "redacted": redacted, "missing": dict(missing)}
    _print(outcome, as_json, "\n".join(_case_words(outcome, missing, limit)), to_stderr=str(target) == "-")


@command.command("evidence")
@_options(dated=True)
@click.option("--force", is_flag=True, help="Replace FILE.zip if it exists.")
@click.argument("target", metavar="FILE.zip", type=click.Path(path_type=Path))
def evidence(path: Path | None, begin: str | None, end: str | None, as_json: bool, force: bool, target: Path) -> None:
    """Write what is known of a period into FILE.zip, for an audit.

    Configuration without secrets, evaluators, decisions, scores, changes, alerts, and hashes of it all. The same
    question gives the same bytes, as long as the store has not learned or forgotten anything.
    """
    refuse_existing("FILE.zip", target, force)
    config, view, period = _asked(path, begin, end)
    scorers, _ = load_parts(config)
    with _writing(target):
        manifest = write_evidence(target, view, config, scorers, config.alerts.wording(units(scorers)), period)
    earliest = manifest["earliest_trace_kept"]
    if earliest is not None and earliest > manifest["from"] and period.from_ns:
        click.echo(f"driftline: traces are kept from {earliest} on; what was before is not in it", err=True)
    counts = ", ".join(f"{count} {what}" for what, count in manifest["counts"].items())
    _print(manifest, as_json, f"{target}: {counts}\nsha256 {manifest['sha256']}")


@command.command("verify")
@click.argument("archive", metavar="FILE.zip", type=click.Path(path_type=Path))
@click.option("--sha256", "expected", help="The hash that was noted down when the pack was written.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def verify_command(ctx: click.Context, archive: Path, expected: str | None, as_json: bool) -> None:
    """Check an evidence pack against its manifest. Exits with 1 if it is not as it was written."""
    try:
        manifest, problems = verify(archive)
    except OSError as error:
        raise UserError(f"FILE.zip: {archive}: {error.strerror or error}") from None
    found = manifest.get("sha256")
    if expected is not None and not problems and found != expected.lower():
        problems.append(f"it is another pack: sha256 is {found}")
    good = f"{archive} is as it was written: {len(manifest.get('files', ()))} files, sha256 {found}"
    words = "\n".join(f"{archive}: {problem}" for problem in problems)
    _print({"sound": not problems, "sha256": found, "problems": problems}, as_json, words or good)
    ctx.exit(_EXIT_NO if problems else 0)


@command.command("schema")
@click.argument("form", type=click.Choice(FORMS))
def schema_command(form: str) -> None:
    """Print the JSON Schema of what is exported."""
    click.echo(orjson.dumps(schema(form), option=orjson.OPT_INDENT_2).decode())


def _asked(path: Path | None, begin: str | None, end: str | None) -> tuple[Config, View, Period]:
    config = load_config(path)
    period = parse_period(begin, end, SystemClock().now_ns())
    view = View(view_path(config.store.path), read_only=True)
    if behind := records_behind(config, view):
        told = f"the view has yet to take in {behind} records of the store, which are left out"
        click.echo(f"driftline: {told}", err=True)
    return config, view, period


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise UserError(f"--slice: {one!r} is not NAME=VALUE, such as service=shop")
        pairs[name] = value
    return pairs


def _expanded(files: Sequence[Path]) -> Iterator[Path]:
    for file in files:
        if file.is_dir():
            yield from sorted(inner for inner in file.iterdir() if inner.is_file())
        else:
            yield file


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """An output that cannot be written is told in one line."""
    try:
        yield
    except OSError as error:
        raise DriftlineError(f"{target} cannot be written: {error.strerror or error}") from None


@contextmanager
def _lines(target: Path) -> Iterator[BinaryIO]:
    """The file, which appears under its name once it is complete."""
    if str(target) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with appearing(target, private=True) as out:
        if target.suffix == ".gz":
            with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed:
                yield packed  # type: ignore[misc]
        else:
            yield out


def _case_words(outcome: dict[str, Any], missing: Counter[str], limit: int) -> Iterator[str]:
    yield f"{outcome['written']} cases of {outcome['chosen']} traces, {outcome['redacted']} places redacted"
    for what, count in sorted(missing.items()):
        yield f"  {count} left out: {what}"
    if missing[EXPIRED] or missing[PARTLY_EXPIRED]:
        yield "  (raw spans go once no late span can revise their trace; see assemble.revision_window and --traces)"
    if outcome["chosen"] == limit:
        yield f"  (only the newest {limit} were looked for; see --limit)"


def _print(outcome: Any, as_json: bool, words: str, to_stderr: bool = False) -> None:
    click.echo(orjson.dumps(outcome) if as_json else words, err=to_stderr)
