"""`driftline score`: run one scorer over a data set, with the code that runs online."""

import gzip
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import click
import orjson
import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from collector.core.errors import UserError
from driftline.commands.score_summary import Summary, calibrate, tell
from driftline.export.files import appearing
from scorers.base import Scorer
from scorers.loading import ScorerConfig, load_scorer
from scorers.offline import parse_line, score_rows


class Failed(click.ClickException):
    """The work itself failed."""

    exit_code = 3


_INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUTPUT = click.Path(dir_okay=False, path_type=Path, allow_dash=True)


@click.command("score")
@click.option("--scorer", "name", required=True, help="A built-in's name, MODULE:NAME, or ./FILE.py:NAME.")
@click.option("--in", "source", required=True, type=_INPUT, help="JSON lines, plain or gzipped.")
@click.option("--out", "target", required=True, type=_OUTPUT, help="JSON lines; - is standard output.")
@click.option("--passing", help="What passes, instead of the scorer's own, such as '>= 0.6'.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the scorer; repeatable.")
@click.option(
    "--calibrate", "calibration", type=_OUTPUT, help="Fit probabilities to the labels, and write them to this file."
)
@click.option(
    "--false-positives",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.05,
    show_default=True,
    help="With --calibrate: the share of rows of label 0 that may be flagged.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    name: str,
    source: Path,
    target: Path,
    passing: str | None,
    options: tuple[str, ...],
    calibration: Path | None,
    false_positives: float,
    as_json: bool,
) -> None:
    """Score a data set offline: one result a row, in order; a bad row is an error row.

    Rows may have id, question, contexts, answer, reference, text, tools, calls, schema, instance, messages,
    trajectory. With a label (1 = what the scorer should flag) the summary says how well scores and verdicts fit the
    labels, and --calibrate turns scores into probabilities, for `calibration:` in the configuration.
    """
    scorer = _load(name, passing, options)
    for flag, path in (("--out", target), ("--calibrate", calibration)):
        if path is not None and path.exists() and path.samefile(source):
            raise click.UsageError(f"{flag}: {path} is the file of --in, which is kept")
    summary = Summary(scorer)
    try:
        with _writing(target) as out, reading(source) as rows:
            for row, result in paired(scorer, rows):
                out.write(orjson.dumps(result, default=str) + b"\n")
                summary.add(row, result)
    except (OSError, EOFError) as error:
        # A file that cannot be opened is named by the error itself: it may be the one that is written.
        raise Failed(str(error) if isinstance(error, OSError) and error.filename else f"{source}: {error}") from None
    # With results on standard output, the summary must not mix with them.
    to_stderr = str(target) == "-"
    tell(summary, as_json, to_stderr)
    if summary.rows and not summary.objects:
        raise Failed(f"{source}: none of its {summary.rows} lines is a row, a JSON object on a line of its own")
    if calibration is not None:
        calibrate(summary, calibration, false_positives, name, to_stderr or as_json)


def _load(name: str, passing: str | None, options: tuple[str, ...]) -> Scorer:
    given: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise click.UsageError(f"--option {option!r} is not NAME=VALUE")
        try:
            given[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise click.UsageError(f"--option {key}: {value!r} is not a value") from None
    try:
        loaded = load_scorer(ScorerConfig(use=name, passing=passing, options=given))
    except UserError as error:
        raise click.UsageError(str(error)) from None
    except ValidationError as error:
        raise click.UsageError(str(error.errors()[0]["msg"])) from None
    if missing := [option for option in loaded.required if not loaded.options.get(option)]:
        raise click.UsageError(f"--option {missing[0]}=VALUE: {name!r} needs it; docs/scorers.md says what for")
    return loaded


def paired(scorer: Scorer, rows: Iterator[object]) -> Iterator[tuple[object, dict[str, Any]]]:
    """Each row with its result; the scorer takes rows one at a time, so the last one taken is the one it answers."""
    last: list[object] = [None]

    def taken() -> Iterator[object]:
        for row in rows:
            last[0] = row
            yield row

    for result in score_rows(scorer, taken()):
        yield last[0], result


@contextmanager
def reading(source: Path) -> Iterator[Iterator[object]]:
    with ExitStack() as stack:
        raw = stack.enter_context(source.open("rb"))
        advance = stack.enter_context(_progress(source.stat().st_size))
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream: Any = stack.enter_context(gzip.GzipFile(fileobj=raw)) if zipped else raw

        def rows() -> Iterator[object]:
            while line := stream.readline():
                if line.strip():
                    yield parse_line(line)
                advance(raw.tell())

        yield rows()


@contextmanager
def _progress(size_bytes: int) -> Iterator[Any]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda position: None
        return
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TextColumn("bytes"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("scoring", total=size_bytes)
        yield lambda position: progress.update(task, completed=position)


@contextmanager
def _writing(target: Path) -> Iterator[IO[bytes]]:
    """The output file, which appears under its name once it is complete."""
    if str(target) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if not target.parent.is_dir():
        raise click.UsageError(f"--out: there is no folder {target.parent}")
    with appearing(target) as out:
        if target.suffix != ".gz":
            yield out
        else:
            with gzip.GzipFile(fileobj=out, mode="wb") as packed:
                yield packed  # type: ignore[misc]
