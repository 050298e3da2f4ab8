"""`driftline scorers`: what there is to score with, and a beginning for one of your own."""

import keyword
from pathlib import Path
from typing import Any

import click
import orjson

from collector.core import component
from collector.core.errors import UserError
from scorers.base import Scorer, option_defaults
from scorers.loading import GROUP, ScorerConfig, load_scorer

_TEMPLATE = '''"""A scorer of your own. In the configuration: `scorers: [{{use: ./{name}.py:{name}}}]`."""

from collector.core.model import Trace
from scorers.base import Evidence, Score, scorer


@scorer(name="{name}", needs=("question", "answer"), range=(0, 1), passing=">= 0.5")
def {name}(trace: Trace, *, longest: int = 2000) -> Score | None:
    """Is the answer no longer than it should be?

    The first paragraph above is what `driftline scorers` shows. Say here what a value means, and where it is wrong.

    Args:
        trace: has all of `needs`; see docs/scorers.md for what else there is.
        longest: an option, to be set as `options: {{longest: 500}}`.
    """
    answer = trace.answer or ""
    if not answer.strip():
        return None  # nothing to say: the candidate is `filtered`, not 0
    if len(answer) <= longest:
        return Score(1.0, explanation=f"{{len(answer)}} characters")
    return Score(longest / len(answer), explanation="too long", evidence=[Evidence(longest, len(answer), "excess")])
'''

_TEST_TEMPLATE = """from {name} import {name}

from collector.core.model import Trace
from scorers.testing import check_scorer


def test_{name}_stands_whatever_comes() -> None:
    check_scorer({name})


def test_{name}_says_what_it_should() -> None:
    assert {name}(Trace("1" * 32, question="Why?", answer="Because.")).value == 1.0
    assert {name}(Trace("1" * 32, question="Why?", answer="because " * 1000)).value < 0.5
"""


class ListOrNew(click.Group):
    """`driftline scorers [REFERENCE...]` lists; `driftline scorers new NAME` begins one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group("scorers", cls=ListOrNew)
def command() -> None:
    """List scorers (`list`, which is the default), or begin one of your own (`new`)."""


@command.command("new")
@click.argument("name")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where to write.")
def new(name: str, folder: Path) -> None:
    """Write NAME.py, a scorer that works, and test_NAME.py, its test."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise click.UsageError(f"NAME: {name!r} cannot be a function's name; use letters, digits and _")
    files = {folder / f"{name}.py": _TEMPLATE, folder / f"test_{name}.py": _TEST_TEMPLATE}
    for path in files:
        if path.exists():
            raise click.UsageError(f"{path} is there already; choose another NAME or --folder")
    folder.mkdir(parents=True, exist_ok=True)
    for path, template in files.items():
        path.write_text(template.format(name=name), encoding="utf-8")
    first, second = files
    click.echo(
        f"{first}: the scorer; {second}: its test, for pytest\n"
        f"try it: driftline score --scorer {first}:{name} --in ROWS.jsonl --out -\n"
        f"use it: scorers: [{{use: ./{first.name}:{name}}}]"
    )


@command.command("list")
@click.argument("references", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def show(references: tuple[str, ...], as_json: bool) -> None:
    """List the scorers that are installed, or those named by REFERENCES (NAME, MODULE:NAME, ./FILE.py:NAME)."""
    try:
        found = [
            load_scorer(ScorerConfig(use=reference), Path.cwd()) for reference in references or component.names(GROUP)
        ]
    except UserError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        for one in found:
            click.echo(orjson.dumps(description(one), default=str).decode())
    else:
        click.echo("\n".join(line for one in found for line in in_words(one)))


def description(one: Scorer) -> dict[str, Any]:
    """Everything a person chooses a scorer by."""
    return {
        "name": one.name,
        "needs": list(one.needs),
        "range": [bound if abs(bound) != float("inf") else None for bound in one.range],
        "unit": one.unit,
        "better": one.better,
        "passing": one.passing.text if one.passing else None,
        "tier": one.tier,
        "target": one.target,
        "version": one.version,
        "options": option_defaults(one.function),
        "evaluator_id": one.evaluator_id,
        "doc": one.doc,
    }


_TAKES = {0: "microseconds", 1: "a small model", 2: "a judge"}


def in_words(one: Scorer) -> list[str]:
    """A scorer in a few lines, each fit for a terminal of any width: a table of as much would need a very wide one."""
    low, high = one.range
    passing = f", passes at {one.passing.text}" if one.passing else ", gives no verdict"
    needs = ", ".join(need.replace("_", " ") for need in one.needs) or "nothing"
    facts = [
        f"of each {one.target.replace('_', ' ')}",
        f"needs {needs}",
        f"{low:g} to {high:g} {one.unit}, {one.better} is better{passing}",
        f"takes {_TAKES[one.tier]}",
    ]
    if options := option_defaults(one.function):
        facts.append("options " + ", ".join(options))
    return [one.name, *(f"  {text}" for text in (one.doc, "; ".join(facts)) if text)]
