"""What an evidence pack holds: everything of its period, nothing of another, no content and no secret."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from alerts.explain import Wording
from collector.core.errors import UserError
from driftline.config import Config
from driftline.export.archive import verify
from driftline.export.evidence import Evaluators, masked, told, without_content, write_evidence
from driftline.export.period import Period, parse_period
from driftline.export.rows import score_rows
from driftline.flow import load_parts
from driftline.records import read_sheet
from driftline.view import View, view_path
from scorers.base import Evidence, Score
from tests.alerts.conftest import EXAMPLE
from tests.driftline.export.conftest import END_NS
from tests.driftline.export.store import Store
from tests.driftline.export.test_archive import contents
from tests.driftline.export.test_rows import a_decision, a_sheet, validate

HOUR_NS = 3600 * 10**9


def written(store: Store, path: Path, period: Period) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The manifest, and the files by name, line by line."""
    view = View(view_path(store.config.store.path), read_only=True)
    scorers, _ = load_parts(store.config)
    manifest = write_evidence(path, view, store.config, scorers, store.config.alerts.wording(), period)
    assert verify(path) == (manifest, [])
    files = {name: content for name, content in contents(path).items() if not name.endswith(".txt")}
    return manifest, {name: parsed(content, name.endswith(".jsonl")) for name, content in files.items()}


def parsed(content: bytes, by_line: bool) -> Any:
    return [orjson.loads(line) for line in content.splitlines()] if by_line else orjson.loads(content)


def test_it_holds_everything_of_its_period_and_nothing_else(store: Store, tmp_path: Path) -> None:
    sheets = [read_sheet(entry.value) for entry in store.decisions]
    period = Period(END_NS - 3 * HOUR_NS, END_NS - HOUR_NS)
    within = [sheet for sheet in sheets if period.from_ns <= sheet["event_ns"] < period.to_ns]
    assert 0 < len(within) < len(sheets)
    manifest, files = written(store, tmp_path / "e.zip", period)
    assert {one["trace_id"] for one in files["decisions.jsonl"]} == {sheet["trace_id"] for sheet in within}
    scored = {row["id"] for sheet in within for row in score_rows(sheet) if row["decision"] == "scored"}
    assert {row["id"] for row in files["scores.jsonl"]} == scored
    assert sum(one["decisions"] for one in files["evaluators.json"]) == 4 * len(within)
    assert all(one["configured"]["version"] for one in files["evaluators.json"])
    for row in files["scores.jsonl"][:50]:
        validate("score", row)
    for row in files["changes.jsonl"]:
        validate("change", row)
    assert manifest["counts"] == {
        "traces": len(within),
        "scores": len(scored),
        "changes": len(files["changes.jsonl"]),
        "alerts": len(files["alerts.jsonl"]),
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.zip"], "nothing is left beside it"


def test_the_same_question_gives_the_same_bytes(store: Store, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        written(store, tmp_path / name, Period())
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_every_page_has_its_alert(store: Store, tmp_path: Path) -> None:
    _, files = written(store, tmp_path / "e.zip", Period())
    paged = [row for row in files["changes.jsonl"] if row["paged"]]
    assert [(one["change_id"], one["status"]) for one in files["alerts.jsonl"]] == [
        (row["change_id"], "firing") for row in paged
    ]
    (alert,) = files["alerts.jsonl"]
    assert alert["labels"]["team"] == "ml"
    assert alert["annotations"]["summary"].startswith("Mean of groundedness fell from ")


def test_an_alert_is_of_the_period_in_which_it_is_told() -> None:
    over = replace(EXAMPLE, status="resolved", resolved_ns=EXAMPLE.detected_ns + HOUR_NS)

    def statuses(change: Any, begin: int, end: int) -> list[str]:
        period = Period(EXAMPLE.detected_ns + begin, EXAMPLE.detected_ns + end)
        return [one["status"] for one in told(change, Wording(), period)]

    assert statuses(over, 0, 2 * HOUR_NS) == ["firing", "resolved"]
    assert statuses(over, 0, HOUR_NS) == ["firing"]
    assert statuses(over, 1, 2 * HOUR_NS) == ["resolved"]
    assert statuses(EXAMPLE, 0, 2 * HOUR_NS) == ["firing"]
    assert statuses(EXAMPLE, 1, 2 * HOUR_NS) == []


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S", "hunter2-v9#Lq2!xWz")
    secret = {"env": "S"}
    webhook = {
        "url": "https://u:pw1234567@ops.example:8443/services/T0AAAA/hook-path-token",
        "secret": secret,
        "headers": {"authorization": secret},
    }
    config = Config.model_validate(
        {
            "listen": {"tokens": [{"name": "app", "role": "ingest", **secret}]},
            "kafka": {"brokers": ["10.0.0.5:9092"], "options": {"sasl_plain_password": secret}},
            "export": {"kafka": {"brokers": ["10.0.0.5:9092"], "options": {"sasl_plain_password": secret}}},
            "alerts": {"webhook": webhook},
        }
    )
    shown = orjson.dumps(masked(config)).decode()
    assert "hunter2" not in shown
    assert "10.0.0.5:9092" in shown
    assert '"url":"https://ops.example:8443/..."' in shown
    assert "hook-path-token" not in shown
    assert "pw1234567" not in shown
    assert "https://ops.example" in shown


def test_the_texts_that_scorers_point_at_stay_behind() -> None:
    score = Score(0.0, False, "[EMAIL]", "said [EMAIL]", (Evidence(1, 2, "claim", "content"),))
    (decision,) = without_content(a_sheet(0, a_decision(score=score, detail="at a place")))["decisions"]
    assert decision["detail"] == "at a place"
    assert decision["score"] == {
        "value": 0.0,
        "passed": False,
        "label": "[EMAIL]",
        "explanation": "said [EMAIL]",
        "evidence": [{"start": 1, "end": 2, "type": "claim"}],
    }


def test_an_evaluator_that_is_no_longer_configured_says_so() -> None:
    evaluators = Evaluators([])
    evaluators.add(a_sheet(0, a_decision()))
    evaluators.add(a_sheet(0, a_decision(), a_decision(evaluator_id="e2")))
    assert [(one["evaluator_id"], one["decisions"], one["configured"]) for one in evaluators.told()] == [
        ("e1", 2, None),
        ("e2", 1, None),
    ]


@pytest.mark.parametrize(
    ("begin", "end", "told"),
    [
        ("yesterday", None, "--from: 'yesterday' is not a day such as 2026-03-01, a moment"),
        ("2026-03-01", "2026-02-30", "--to: '2026-02-30' is not a day"),
        ("2026-03-01", "2026-03-01", "--to: '2026-03-01' is not after --from '2026-03-01'"),
        ("1h", "2h", "--to: '2h' is not after --from '1h'"),
    ],
)
def test_a_wrong_period_is_told(begin: str, end: str | None, told: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_period(begin, end, END_NS)
    assert str(refused.value).startswith(told)


def test_a_period_without_ends_has_none() -> None:
    assert parse_period(None, None, END_NS) == Period()
    assert parse_period("2h", "1h", END_NS) == Period(END_NS - 2 * HOUR_NS, END_NS - HOUR_NS)
