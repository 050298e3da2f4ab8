"""What an auditor asks for: of a period, the configuration, who judged what and how, what changed and who was told.

Everything comes from the view and the configuration as they are now, so that the same question gives the same file.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import orjson

from alerts.compose import compose
from alerts.explain import Wording
from collector.redaction.redactor import Redactor
from collector.redaction.rules import SECRET
from drift.base import Change, decode_change
from driftline.config import Config
from driftline.export.archive import write_archive
from driftline.export.period import Period
from driftline.export.rows import change_row, rfc3339, score_rows
from driftline.records import Sheet
from driftline.view import View
from scorers.base import Scorer

EVIDENCE_FORM = "driftline.evidence/1"
_MOST_CHANGES = 1_000_000
_README = """What Driftline knows of a period, for an audit. Times are UTC; [from, to) is event time.

manifest.json     the period, what wrote this, and length and SHA-256 of every file
config.json       the configuration as it was when this was written, without secrets
evaluators.json   each evaluator id: its scorer, how many decisions it took, from when to when, and how it is configured
                  (null: it is not that of the present configuration)
decisions.jsonl   a line a trace, in its current revision: what became of it for every scorer, and why
scores.jsonl      a line a score: form driftline.score/1
changes.jsonl     a line a change that was open in the period, as it is known now: form driftline.change/1
alerts.jsonl      a line for the beginning, and one for the end, of each change of these that is told to people, in the
                  words that are sent. That it arrived is not on record here: see the receiver's own log

Prompts, contexts and answers are not kept and not here. Explanations of scorers are, as they were kept: with personal
data and credentials replaced by tokens such as <email:b8c1...>, or as `redact` in config.json says.

    driftline export verify THIS.zip
"""


def write_evidence(
    path: Path, view: View, config: Config, scorers: Sequence[Scorer], wording: Wording, period: Period
) -> dict[str, Any]:
    """Write the pack, and return its manifest.

    Raises:
        OSError: it cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as name:
        folder = Path(name)
        (folder / "README.txt").write_text(_README, encoding="utf-8")
        _write(folder / "config.json", masked(config))
        evaluators = Evaluators(scorers)
        counts = _write_traces(folder, view.sheets_between(period.from_ns, period.to_ns), evaluators)
        _write(folder / "evaluators.json", evaluators.told())
        changes = list(open_in(view, period))
        alerts = [alert for change in changes if change.paged for alert in told(change, wording, period)]
        counts |= {
            "changes": _write_lines(folder / "changes.jsonl", map(change_row, changes)),
            "alerts": _write_lines(folder / "alerts.jsonl", alerts),
        }
        earliest = view.earliest_ns()
        facts = {
            "form": EVIDENCE_FORM,
            "from": rfc3339(period.from_ns),
            "to": rfc3339(period.to_ns),
            "earliest_trace_kept": None if earliest is None else rfc3339(earliest),
            "written_by": f"driftline {version('driftline')}",
            "counts": counts,
        }
        return write_archive(path, folder, facts)


def masked(config: Config) -> Any:
    """The configuration as JSON: secrets are stars, and what looks like one somewhere else is a mark.

    Of the addresses of those who are told of alerts only the host is there: a path is often all that protects them.
    """
    document = config.model_dump(mode="json")
    document["alerts"] = _hosts_only(document["alerts"])
    return _only_credentials().value(document)


def _only_credentials() -> Redactor:
    """For what the operator wrote: addresses are meant to be there, passwords are not."""
    return Redactor(actions={SECRET: "mask"}, otherwise="keep")


def _hosts_only(value: Any) -> Any:
    if isinstance(value, list):
        return [_hosts_only(item) for item in value]
    if not isinstance(value, dict):
        return value
    told = {name: _hosts_only(item) for name, item in value.items()}
    if isinstance(url := told.get("url"), str):
        parts = urlsplit(url)
        told["url"] = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/..." if parts.netloc else url
    return told


def open_in(view: View, period: Period) -> Iterator[Change]:
    """The changes that were open at some time of the period, oldest first."""
    for encoded in reversed(view.changes(_MOST_CHANGES)):
        change = decode_change(encoded)
        over_before = change.resolved_ns is not None and change.resolved_ns < period.from_ns
        if change.detected_ns < period.to_ns and not over_before:
            yield change


def told(change: Change, wording: Wording, period: Period) -> Iterator[dict[str, Any]]:
    """What people are told of a change within the period."""
    if change.detected_ns >= period.from_ns:
        yield _alert(change, "firing", change.detected_ns, wording)
    if change.status == "resolved" and change.resolved_ns is not None and change.resolved_ns < period.to_ns:
        yield _alert(change, "resolved", change.resolved_ns, wording)


def _alert(change: Change, status: Any, at_ns: int, wording: Wording) -> dict[str, Any]:
    notification = compose(change, wording, at_ns, status)
    return {
        "change_id": change.id,
        "status": status,
        "time": rfc3339(at_ns),
        "labels": dict(notification.labels),
        "annotations": dict(notification.annotations),
    }


class Evaluators:
    """Who took the decisions."""

    def __init__(self, scorers: Iterable[Scorer]) -> None:
        self._configured = {one.evaluator_id: one for one in scorers}
        self._found: dict[str, dict[str, Any]] = {}

    def add(self, sheet: Sheet) -> None:
        at = rfc3339(sheet["event_ns"])
        for decision in sheet["decisions"]:
            identity = decision["evaluator_id"]
            found = self._found.setdefault(
                identity, {"evaluator_id": identity, "scorer": decision["scorer"], "decisions": 0, "first": at}
            )
            found["decisions"] += 1
            found["last"] = at

    def told(self) -> list[dict[str, Any]]:
        named = sorted(self._found.values(), key=lambda one: (one["scorer"], one["evaluator_id"]))
        return [{**one, "configured": _configured(self._configured.get(one["evaluator_id"]))} for one in named]


def _configured(scorer: Scorer | None) -> dict[str, Any] | None:
    if scorer is None:
        return None
    return {
        "version": scorer.version,
        "passing": scorer.passing.text if scorer.passing else None,
        "options": _only_credentials().value(scorer.options),
        "tier": scorer.tier,
        "better": scorer.better,
        "unit": scorer.score_unit,
    }


def _write_traces(folder: Path, sheets: Iterable[Sheet], evaluators: Evaluators) -> dict[str, int]:
    """Decisions and scores in one go, so that both are of one moment."""
    traces = scores = 0
    with ExitStack() as files:
        decisions_out: BinaryIO = files.enter_context((folder / "decisions.jsonl").open("wb"))
        scores_out: BinaryIO = files.enter_context((folder / "scores.jsonl").open("wb"))
        for sheet in sheets:
            evaluators.add(sheet)
            rows = [row for row in score_rows(sheet) if row["decision"] == "scored"]
            scores_out.writelines(_line(row) for row in rows)
            decisions_out.write(_line(without_content(sheet)))
            traces += 1
            scores += len(rows)
    return {"traces": traces, "scores": scores}


def without_content(sheet: Sheet) -> Sheet:
    """The sheet without the texts that scorers point at; the rest was redacted before it was kept."""
    return {**sheet, "decisions": [_decision(one) for one in sheet["decisions"]]}


def _decision(decision: Mapping[str, Any]) -> Mapping[str, Any]:
    score = decision.get("score")
    if score is None or not score.get("evidence"):
        return decision
    evidence = [{name: one[name] for name in ("start", "end", "type")} for one in score["evidence"]]
    return {**decision, "score": {**score, "evidence": evidence}}


def _write(path: Path, value: Any) -> None:
    path.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS, default=str) + b"\n")


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    with path.open("wb") as out:
        for row in rows:
            out.write(_line(row))
            count += 1
    return count


def _line(value: Mapping[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
