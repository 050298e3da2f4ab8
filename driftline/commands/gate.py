"""`driftline gate`: is version B no worse than version A? For a pipeline that deploys."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import orjson

from collector.core.errors import DriftlineError, UserError
from collector.core.settings import parse_duration
from drift.gate import Told, Verdict
from driftline.build import build
from driftline.commands.replay import expand, feed, offline
from driftline.config import load_config
from driftline.flow import comparables, load_parts
from driftline.gate import DEFAULT_ALPHA, Answer, Question, compare
from driftline.gate_metric import Wanted, known_metric, parse_metric
from driftline.logs import redact_logs
from driftline.view import View, view_path

_EXIT: dict[Verdict, int] = {"pass": 0, "fail": 1, "undecided": 2}


class GateCommand(click.Command):
    """2 says undecided, so that wrong usage is 3, as all else that keeps it from a verdict."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        try:
            return super().make_context(*args, **more)
        except click.UsageError as error:
            raise DriftlineError(error.format_message()) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise DriftlineError("; ".join(error.problems)) from None


@click.command(cls=GateCommand)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--a", "a", required=True, help="The version that is in use.")
@click.option("--b", "b", required=True, help="The version that wants to be.")
@click.option("--by", default="version", show_default=True, help="The slice that tells them apart.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="SCORER or SCORER:MARGIN: its pass rate may be lower by so much (0.03). SCORER<=LIMIT: the share that keeps "
    "to it. mean(SCORER): its mean, MARGIN in its unit. Again for more; without, all scorers that judge.",
)
@click.option("--alpha", type=float, default=DEFAULT_ALPHA, show_default=True, help="Probability of a wrong verdict.")
@click.option("--since", help="Only traces that ended within this time, such as 2h; without, all that are kept.")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The service's YAML file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    files: Sequence[Path],
    a: str,
    b: str,
    by: str,
    metrics: Sequence[str],
    alpha: float,
    since: str | None,
    path: Path | None,
    as_json: bool,
) -> None:
    """Compare version B with version A by what the service has scored, or by recorded OTLP FILES.

    Exits with 0 if B is no worse than A by more than the margins, 1 if it is, 2 if that cannot be told yet, and 3 if
    something went wrong. Ask as often as you like: looking again does not add to the probability of a wrong verdict.
    """
    config = load_config(path)
    if by not in config.slices:
        raise UserError(f"--by: {by!r} is not one of the slices ({', '.join(config.slices)})")
    scorers = load_parts(config)[0]
    known = comparables(scorers)
    asked = metrics or [one.name for one in known if one.judges]
    wanted = [known_metric(parse_metric(one), known, "--metric: ") for one in asked]
    question = Question(by, a, b, wanted, alpha)
    from_ns = 0 if since is None else time.time_ns() - round(_seconds(since) * 1e9)
    with _view(path, files, as_json) as view:
        answer = compare(question, view.sheets_between(from_ns, 2**63 - 1))
    click.echo(orjson.dumps(answer.to_json()) if as_json else "\n".join(in_words(answer)))
    ctx.exit(_EXIT[answer.verdict])


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UserError(f"--since: {error}") from None


@contextmanager
def _view(path: Path | None, files: Sequence[Path], quiet: bool) -> Iterator[View]:
    """What the service has scored; or what it would say of recorded files."""
    config = load_config(path)
    if not files:
        yield View(view_path(config.store.path), read_only=True)
        return
    paths = list(expand(files))
    with tempfile.TemporaryDirectory(prefix="driftline-gate-") as folder:
        service = build(offline(config, Path(folder)))
        redact_logs(service.redactor)
        try:
            if problems := feed(service, paths, quiet):
                raise DriftlineError("; ".join(problems))
            yield service.view
        finally:
            service.stop()


def in_words(answer: Answer) -> Iterator[str]:
    """The verdict, then a line for each metric."""
    asked, (a, b) = answer.question, answer.traces
    yield f"{answer.verdict}: {asked.by} {asked.b} ({b} traces) against {asked.a} ({a} traces)"
    for wanted in asked.metrics:
        key = asked.key(wanted)
        told = answer.metrics[key]
        yield f"  {key:22} {told.verdict:10} {_told(wanted, told)}"


def _told(wanted: Wanted, told: Told) -> str:
    if not told.pairs:
        return "nothing to compare yet"
    more = ""
    if told.verdict == "undecided":
        pairs = told.more_pairs
        more = "; no number of such pairs decides" if pairs is None else f"; some {pairs} more such pairs"
    a, b = wanted.level(told.level_a), wanted.level(told.level_b)
    lower, upper = wanted.ends(told.lower, told.upper)
    levels, by, margin = (
        (f"mean {b:.4g} against {a:.4g}", f"{b - a:+.4g} ({lower:+.4g} to {upper:+.4g})", f"{wanted.margin:.4g}")
        if wanted.statistic == "mean"
        else (f"passes {b:.1%} against {a:.1%}", f"{b - a:+.1%} ({lower:+.1%} to {upper:+.1%})", f"{wanted.margin:.1%}")
    )
    return f"{levels}, by {by} of {told.pairs} pairs; margin {margin}{more}"
