"""`driftline why`: what happened to a trace, scorer by scorer, and why."""

import sqlite3
from pathlib import Path

import click
import orjson

from collector.core.errors import StoreError, UserError
from collector.core.printable import entry
from collector.sample import Sampler
from driftline.build import open_redactor
from driftline.commands.why_sessions import (
    add_session,
    moment,
    pending_decisions,
    print_nothing,
    print_waiting,
    scorer_names,
    waiting,
    when,
)
from driftline.config import Config, load_config
from driftline.pending import Pending, pending_trace, pending_traces
from driftline.records import Sheet
from driftline.view import View, view_path
from scorers.ledger import TOLD_ELSEWHERE

_TRACE_ID_DIGITS = 32


@click.command()
@click.argument("trace_id", required=False)
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The service's YAML file.")
@click.option("--scorer", help="Only this scorer.")
@click.option("--session", "session_id", help="What was recorded of this session instead of one trace.")
@click.option("--summary", is_flag=True, help="Counts of all decisions instead of one trace.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    trace_id: str | None,
    path: Path | None,
    scorer: str | None,
    session_id: str | None,
    summary: bool,
    as_json: bool,
) -> None:
    """Say what became of TRACE_ID: scored, or why not. Exits with 1 if nothing is known of it."""
    if [summary, trace_id is not None, session_id is not None].count(True) != 1:
        raise click.UsageError("give a TRACE_ID, or --session, or --summary")
    config = load_config(path)
    view = View(view_path(config.store.path), read_only=True)
    try:
        if session_id is not None:
            # One that is personal is kept as a token.
            known_as = open_redactor(config, read_only=True).text(session_id)
            ctx.exit(print_sessions(view, config, known_as, scorer, as_json))
        if trace_id is None:
            print_funnel(view, config, as_json)
            return
        trace_id = checked_trace_id(trace_id)
        found = view.sheet(trace_id)
        if found is None:
            ctx.exit(explain_absence(config, view, trace_id, scorer, as_json))
        if continued_by := view.continued_by(trace_id):
            found["continued_by"] = continued_by
        add_session(config, view, found)
    except sqlite3.Error as error:
        raise StoreError(f"the view {view.path} cannot be read: {error}") from None
    print_sheet(found, config, scorer, as_json)


def print_sheet(found: Sheet, config: Config, scorer: str | None, as_json: bool) -> None:
    if scorer is not None:
        sheets = [found, *found.get("sessions", ())]
        every = {decision["scorer"] for sheet in sheets for decision in sheet["decisions"]}
        for sheet in sheets:
            sheet["decisions"] = [decision for decision in sheet["decisions"] if decision["scorer"] == scorer]
        mine = [decision for sheet in sheets for decision in sheet["decisions"]]
        if not mine:
            found["not_of_this_scorer"] = sorted(every)
        elif not as_json:
            found["evaluator_id"] = mine[0].get("evaluator_id")
    click.echo(orjson.dumps(found) if as_json else "\n".join(map(entry, story(found, config))))


def print_sessions(view: View, config: Config, session_id: str, scorer: str | None, as_json: bool) -> int:
    """Tell what waits of a session, and what was recorded, the newest first; 1 if nothing is known of it."""
    _, scorers = scorer_names(config)
    open_ones = [one for one in waiting(config, scorers) if one.session_id == session_id]
    sheets = [sheet for one in view.sessions(session_id) if (sheet := view.sheet(one)) is not None]
    for one in open_ones:
        print_waiting(config, one, scorers, scorer, as_json)
    for found in sheets:
        print_sheet(found, config, scorer, as_json)
    if not sheets and not open_ones and not as_json:
        print_nothing(session_id)
    return 0 if sheets or open_ones else 1


def checked_trace_id(text: str) -> str:
    """The trace id in lower case.

    Raises:
        UserError: it is not 32 hexadecimal digits.
    """
    lowered = text.lower()
    if len(lowered) != _TRACE_ID_DIGITS or not set(lowered) <= set("0123456789abcdef"):
        raise UserError(f"TRACE_ID: {text[:80]!r} is not {_TRACE_ID_DIGITS} hexadecimal digits")
    return lowered


def story(sheet: Sheet, config: Config) -> list[str]:
    """A trace's sheet in plain words, a line each."""
    slices = ", ".join(f"{name} {value}" for name, value in sheet["slices"].items())
    ended = moment(sheet["event_ns"])
    counts = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in sheet["counts"].items() if count)
    of_session = sheet.get("target") == "session"
    what = f"session {sheet['session_id']}, recorded as" if of_session else "trace"
    lines = [f"{what} {sheet['trace_id']} ({slices or 'not decoded'})", f"  ended {ended}: {counts or 'not decoded'}"]
    lines += [f"  turn {number}: trace {turn}" for number, turn in enumerate(sheet.get("turns", ()), start=1)]
    if sheet["session_id"] and not of_session:
        pending = sheet.get("session_pending")
        lines.append(f"  of session {sheet['session_id']}" + (f", which {when(config, pending)}" if pending else ""))
    if sheet["revision"]:
        why = "late traces" if of_session else "late spans or by what another trace told"
        lines.append(f"  revised {sheet['revision']} times, by {why}; these are the current decisions")
    if sheet["incomplete"]:
        missing = "it was cut at a limit, or a trace of it is" if of_session else "its root did not come in time"
        lines.append(f"  incomplete: {missing}")
    lines += [f"  continues trace {linked}" for linked in sheet.get("links", ())]
    lines += [f"  continued by trace {linked}" for linked in sheet.get("continued_by", ())]
    for span_id, other in sheet.get("repeats", ()):
        lines.append(
            f"  the model call of span {span_id} is left out: trace {other} tells it (same answer id and time)"
        )
    chance = _usual_chance(sheet)
    upstream = f", after the application's sampler kept {sheet['upstream']:.9g}" if sheet["upstream"] < 1 else ""
    lines.append(f"  sampled with probability {chance:.9g} ({sheet['rate_rule']}{upstream})")
    if (others := sheet.get("not_of_this_scorer")) is not None:
        lines.append(f"  nothing was decided on this scorer; what was decided on: {', '.join(others) or 'none'}")
    lines += _decisions(sheet)
    for session in sheet.get("sessions", ()):
        if told := _decisions(session):
            lines += [f"  its session, recorded as {session['trace_id']}:", *told]
    return lines + ([f"{'':23}evaluator {sheet['evaluator_id']}"] if sheet.get("evaluator_id") else [])


def _decisions(sheet: Sheet) -> list[str]:
    return [line for decision in sheet["decisions"] for line in _decision(decision, sheet)]


def _usual_chance(sheet: Sheet) -> float:
    """The probability of what was scored without a line of its own; of older sheets, as samplers apart make it."""
    return float(sheet.get("probability", sheet["rate"] * sheet["upstream"]))


def _decision(decision: Sheet, sheet: Sheet) -> list[str]:
    head = f"  {decision['scorer']:20} {decision['decision'].replace('_', ' ')}"
    if span_id := decision.get("span_id"):
        head += f" (span {span_id})"
    score = decision.get("score")
    if score is None:
        return [f"{head}: {_reason(decision, sheet)}"]
    verdict = {True: "passed", False: "did not pass", None: "no verdict"}[score["passed"]]
    value = "" if score["value"] is None else f" {score['value']:.4g}"
    lines = [f"{head}{value}, {verdict}{_own_chance(decision, sheet)}"]
    if score.get("explanation"):
        lines.append(f"{'':23}{score['explanation']}")
    return lines


def _own_chance(decision: Sheet, sheet: Sheet) -> str:
    """How rare such a score is, and by which line, where that is not what holds for the whole trace."""
    probability, rule = decision["probability"], decision["rule"]
    if probability == _usual_chance(sheet) and rule == sheet["rate_rule"]:
        return ""
    return f"; with probability {probability:.9g} ({rule})"


def _reason(decision: Sheet, sheet: Sheet) -> str:
    reason = decision["reason"]
    if decision["decision"] == "not_sampled":
        return _not_sampled(decision, sheet)
    if decision["decision"] == "throttled":
        rate = float(decision.get("detail") or decision["probability"] / sheet["upstream"])
        return f"its id's place {sheet['unit']:.9f} is not below {rate:.3g}, as much as {decision['rule']} could bear"
    if decision["decision"] == "over_budget":
        return f"what {decision['rule']} gives for the period was used up"
    if decision["decision"] == "shed":
        return f"the service was behind {decision['detail']}, more than {decision['rule']} allows its tier"
    if reason == TOLD_ELSEWHERE:
        return "its model calls belong to another trace"
    if reason.startswith("needs:"):
        subject = "session" if sheet.get("target") == "session" else "operation" if "span_id" in decision else "trace"
        return f"the {subject} has no {reason.removeprefix('needs:').replace('_', ' ')}"
    detail = decision.get("detail")
    return f"{reason} ({detail})" if detail else str(reason)


def _not_sampled(decision: Sheet, sheet: Sheet) -> str:
    rule = decision["rule"]
    if rule == "sample.quota" and not sheet["rate"]:
        return f"what {rule} gives to its class for the period was used up"
    if decision.get("detail"):  # by a salt of the scorer's own
        return f"it is not in the share that {rule} chooses by its own salt"
    return f"its id's place {sheet['unit']:.9f} is not below the rate of {rule}"


def explain_absence(config: Config, view: View, trace_id: str, scorer: str | None, as_json: bool) -> int:
    """Say why a trace is not in the view: 0 if its id alone explains it or it waits, 1 if nothing is known."""
    sampler = Sampler(config.sample)
    raw = bytes.fromhex(trace_id)
    by_hash = sampler.never(raw)
    waits = None if by_hash else pending_trace(config, trace_id)
    if waits is not None:
        print_pending(config, trace_id, waits, scorer, as_json)
        return 0
    unit, since_ns = sampler.unit(raw), view.earliest_ns()
    if as_json:
        rule = "sample.rate" if by_hash else None
        told = {"trace_id": trace_id, "unit": unit, "not_sampled": by_hash, "rule": rule, "kept_since_ns": since_ns}
        click.echo(orjson.dumps(told))
    elif by_hash:
        click.echo(
            f"trace {trace_id} is not sampled, whatever it holds: its id's place {unit:.9f} is not below "
            f"sample.rate ({config.sample.rate:.9g}) nor the rate of any keep rule"
        )
    else:
        kept = "nothing is kept yet" if since_ns is None else f"the oldest that is kept ended {moment(since_ns)}"
        click.echo(
            f"nothing is known of trace {trace_id}: it was never received, or is older than "
            f"{config.store.retention / 86400:g} days (store.retention); {kept}"
        )
    return 0 if by_hash else 1


def print_pending(config: Config, trace_id: str, waits: Pending, scorer: str | None, as_json: bool) -> None:
    """Tell of a trace that is not evaluated yet; all its candidates are pending."""
    every, every_of_sessions = scorer_names(config)
    scorers = [name for name in every if scorer in (None, name)]
    of_sessions = [name for name in every_of_sessions if scorer in (None, name)]
    if as_json:
        decisions = pending_decisions(scorers)
        told = {"spans": waits.spans, "ended_ns": waits.ended_ns, "root_ended": waits.root_ended}
        about = {"trace_id": trace_id, "pending": told, "decisions": decisions, "scorers_of_sessions": of_sessions}
        click.echo(orjson.dumps(about))
        return
    ended = moment(waits.ended_ns)
    assemble = config.assemble
    root = "its root has ended" if waits.root_ended else "its root has not ended"
    click.echo(f"trace {trace_id} waits for its end: {waits.spans} spans came, the last ended {ended}; {root}")
    click.echo(
        f"  it is evaluated once its root has ended and nothing more came for {assemble.quiet:g} s (assemble.quiet), "
        f"at the latest {assemble.max_age:g} s after its first span (assemble.max_age)"
    )
    for name in scorers:
        click.echo(f"  {name:20} pending: open")
    for name in of_sessions:
        click.echo(f"  {name:20} looks at sessions: if the trace has one, it is a turn of it once it was evaluated")
    if not scorers and not of_sessions and every:
        click.echo(f"  no scorer has this name; there are: {', '.join([*every, *every_of_sessions])}")


def print_funnel(view: View, config: Config, as_json: bool) -> None:
    rows = view.funnel()
    try:
        traces = pending_traces(config, view)
    except StoreError as error:  # the view says what it has all the same
        click.echo(f"what is pending is not counted: {error}", err=True)
        traces = 0
    of_traces, of_sessions = scorer_names(config)
    sessions = sum(not one.evaluated for one in waiting(config, of_sessions))
    for scorers, count in ((of_traces, traces), (of_sessions, sessions)):
        rows += [(name, "pending", "open", count) for name in scorers if count]
    if as_json:
        names = ("scorer", "decision", "reason", "count")
        click.echo(orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    for scorer in dict.fromkeys(row[0] for row in rows):
        mine = [row for row in rows if row[0] == scorer]
        total = sum(row[3] for row in mine)
        click.echo(f"{scorer}: {total} candidates")
        for _, decision, reason, count in mine:
            click.echo(f"  {count:>9} {100 * count / total:5.1f}%  {decision.replace('_', ' ')}: {reason}")
    if (most := Sampler(config.sample).most_by_id) < 1:
        click.echo(
            f"not counted here: traces that their id alone leaves out, by sample; {most:.9g} of all are looked at "
            "(driftline_sampled_out_spans_total counts the spans of the others)"
        )
