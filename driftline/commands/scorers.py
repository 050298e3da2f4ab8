"""`driftline scorers`: what there is to score with."""

from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

from collector.core import component
from collector.core.errors import UserError
from scorers.base import Scorer, option_defaults
from scorers.runner import GROUP, ScorerConfig, load_scorer


@click.command("scorers")
@click.argument("references", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def command(references: tuple[str, ...], as_json: bool) -> None:
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
        Console().print(_table(found))


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


def _table(found: list[Scorer]) -> Table:
    table = Table("name", "needs", "range", "better", "passing", "what it says", show_lines=False, box=None)
    for one in found:
        low, high = one.range
        passing = one.passing.text if one.passing else "-"
        needs = ", ".join(one.needs) or "-"
        table.add_row(one.name, needs, f"{low:g} to {high:g} {one.unit}", one.better, passing, one.doc)
    return table
