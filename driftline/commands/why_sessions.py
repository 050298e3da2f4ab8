"""`driftline why` of sessions: what was recorded of one, and what waits for its end."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from collector.core.errors import StoreError, UserError
from collector.core.printable import entry, printable
from driftline.config import Config
from driftline.flow import load_parts
from driftline.pending_sessions import PendingSession, pending_sessions
from driftline.records import Sheet
from driftline.view import View

_LATEST_SECONDS = 253402300799.0  # the last second of the year 9999


def moment(at_ns: int) -> str:
    """Unix time as ISO 8601, to the millisecond; what is later than the year 9999 as its end."""
    return datetime.fromtimestamp(min(at_ns / 1e9, _LATEST_SECONDS), UTC).isoformat(timespec="milliseconds")


def scorer_names(config: Config) -> tuple[list[str], list[str]]:
    """What the scorers of traces are called, and those of sessions; none if one cannot be had, which is said."""
    try:
        every = load_parts(config)[0]
    except UserError as error:  # what was recorded can be told all the same
        click.echo(f"what is pending is not told by scorer: {error}", err=True)
        return [], []
    return (
        [one.name for one in every if one.target != "session"],
        [one.name for one in every if one.target == "session"],
    )


def waiting(config: Config, scorers: Sequence[str]) -> list[PendingSession]:
    """The sessions that wait for these scorers; none where there are none, or they cannot be read, which is said."""
    if not scorers:
        return []
    try:
        return pending_sessions(config)
    except StoreError as error:  # the view says what it has all the same
        click.echo(f"sessions that wait are not told: {error}", err=True)
        return []


def add_session(config: Config, view: View, sheet: Sheet) -> None:
    """Add to the sheet of a trace what is known of its session.

    That is `sessions`, the sheets of what was recorded with this turn, and if it waits, `session_pending`, and a
    decision for each scorer that has none yet.
    """
    if not sheet["session_id"] or sheet.get("target") == "session":
        return
    recorded = map(view.sheet, view.sessions(sheet["session_id"]))
    if mine := [one for one in recorded if one is not None and sheet["trace_id"] in one["turns"]]:
        sheet["sessions"] = mine
    _, scorers = scorer_names(config)
    for one in waiting(config, scorers):
        if sheet["trace_id"] in one.turns and sheet.get("tenant", "") == one.tenant:
            sheet["session_pending"] = _told(one)
            sheet["decisions"] += [] if one.evaluated else pending_decisions(scorers)


def when(config: Config, told: dict[str, Any]) -> str:
    """Since when a session of `session_pending` waits, and for what."""
    assemble = config.assemble
    due = f"at {moment(told['due_ns'])} if no more come"
    idle = f"idle for {assemble.session_idle:g} s (assemble.session_idle)"
    if told["evaluated"]:
        return f"was scored and went on since: {_so_far(told)}; it is scored anew {due}: once it was {idle}"
    age = f"{assemble.session_max_age:g} s after its first turn began (assemble.session_max_age)"
    return f"waits for its end: {_so_far(told)}; it is decided on {due}: once it was {idle}, at the latest {age}"


def print_waiting(
    config: Config, one: PendingSession, scorers: Sequence[str], scorer: str | None, as_json: bool
) -> None:
    """Tell of a session that waits for these scorers, or of the one of them that is asked for."""
    names = [] if one.evaluated else [name for name in scorers if scorer in (None, name)]
    told = _told(one)
    if as_json:
        about = {"session_id": one.session_id, "service": one.service, "session_pending": told}
        click.echo(orjson.dumps({**about, "decisions": pending_decisions(names)}))
        return
    lines = [f"session {one.session_id} (service {one.service}) {when(config, told)}"]
    lines += [f"  turn {number}: trace {turn}" for number, turn in enumerate(one.turns, start=1)]
    lines += [f"  {name:20} pending: open" for name in names]
    if not names and not one.evaluated:
        lines.append(f"  no scorer of sessions has this name; there are: {', '.join(scorers)}")
    click.echo("\n".join(map(entry, lines)))


def print_nothing(session_id: str) -> None:
    """Nothing was recorded of a session, and nothing waits."""
    click.echo(
        f"nothing is known of session {printable(session_id)}: no scorer of sessions is configured, no trace of it was "
        "evaluated, or it is older than what is kept"
    )


def _told(one: PendingSession) -> dict[str, Any]:
    times = {"started_ns": one.started_ns, "ended_ns": one.ended_ns, "due_ns": one.due_ns}
    return {"turns": list(one.turns), **times, "evaluated": one.evaluated}


def _so_far(told: dict[str, Any]) -> str:
    turns = f"{len(told['turns'])} turns" if len(told["turns"]) > 1 else "1 turn"
    return f"{turns} so far, the first began {moment(told['started_ns'])}, the last ended {moment(told['ended_ns'])}"


def pending_decisions(names: Sequence[str]) -> list[dict[str, Any]]:
    """Of candidates that wait for these scorers."""
    return [{"scorer": name, "decision": "pending", "reason": "open"} for name in names]
