"""The command line: `driftline COMMAND`. One file a command in `driftline.commands`.

Exit codes: 0 fine, 1 the answer is no, 2 wrong usage or configuration, 3 failed.
"""

import importlib
import os
import sqlite3
import sys
import traceback
from importlib.metadata import version
from pathlib import Path

import click

from collector.core.errors import DriftlineError, UserError

COMMANDS = (
    *("serve", "reload", "demo", "replay", "inspect", "score", "scorers", "why", "export", "check"),
    *("gate", "rules", "topics", "backup", "restore", "repair", "alerts", "dashboards"),
)
EXIT_USAGE, EXIT_FAILED = 2, 3
_PACKAGES = ("collector", "scorers", "drift", "alerts", "driftline")


class Commands(click.Group):
    """Imports a command only when it is used, so that `--help` and small commands start at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"driftline.commands.{cmd_name}").command
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("driftline"), prog_name="driftline")
def cli() -> None:
    """Evaluates AI applications in production from the OpenTelemetry traces they already emit."""


def refuse_strangers() -> None:
    """Our packages have common names: refuse to run if one of them was loaded from elsewhere.

    Raises:
        UserError: naming both places.
    """
    home = Path(__file__).resolve().parent.parent
    for name in _PACKAGES:
        found = Path(importlib.import_module(name).__file__ or "").resolve().parent.parent
        if found != home:
            raise UserError(f"the package {name!r} was loaded from {found}, but Driftline's is in {home}")


def main() -> None:
    """The entry point: operators see one line, not a traceback."""
    # Or gRPC writes a line for each connection whose TLS handshake fails, past our log: a stranger could fill the disk.
    # It looks when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    try:
        refuse_strangers()
        code = cli.main(prog_name="driftline", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except UserError as error:
        for problem in error.problems:
            print(f"driftline: {problem}", file=sys.stderr)
        sys.exit(EXIT_USAGE)
    except DriftlineError as error:
        print(f"driftline: {error}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except sqlite3.Error as error:  # of a store or a view: missing rights, or no such file at all
        print(f"driftline: the store or its view cannot be read: {error}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except Exception:
        # A fault of ours, or one in a user's plug-in: the traceback says where. Never 1, which is an answer.
        traceback.print_exc()
        sys.exit(EXIT_FAILED)
