"""`driftline dashboards`: Grafana's JSON of every dashboard."""

from importlib.util import find_spec
from pathlib import Path

import click

from collector.core.errors import DriftlineError, UserError

_LIBRARY = "grafana-foundation-sdk"


@click.command()
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder: one UID.json a dashboard."
)
def command(out: Path) -> None:
    """Write the dashboards as JSON, to import or to put where a dashboard provider of Grafana looks."""
    if find_spec("grafana_foundation_sdk") is None:
        raise UserError(f"dashboards needs {_LIBRARY}, which is not installed: pip install 'driftline[grafana]'")
    from alerts.dashboards.write import write

    try:
        for path in write(out):
            click.echo(path)
    except OSError as error:
        raise DriftlineError(f"--out: {out} cannot be written: {error.strerror}") from None
