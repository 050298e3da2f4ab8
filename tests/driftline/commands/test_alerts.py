"""`driftline alerts test`: what it sends, what it says of it, and its exit code."""

import json
from pathlib import Path

import pytest

from tests.alerts.conftest import Server
from tests.alerts.smtp import CERTIFICATE, MailServer, mail_server
from tests.driftline.conftest import Run

BROKEN = """
class Broken:
    name = "broken"
    def notify(self, notifications):
        if notifications[0].status == "resolved":
            raise RuntimeError("line one\\nline two")
"""


@pytest.fixture
def config(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLACK", f"{server.url}/services/T0/B0/S3cr3tS3cr3t")
    monkeypatch.setenv("KEY", "R0ut1ngK3y" * 3)
    path = tmp_path / "driftline.yaml"
    path.write_text(
        "alerts:\n  log: false\n  labels: {team: ml}\n"
        f"  webhook: {{url: '{server.url}/hook'}}\n"
        "  slack: {url: {env: SLACK}, rate_limit: 1 per week}\n"
        f"  pagerduty: {{routing_key: {{env: KEY}}, url: '{server.url}'}}\n"
    )
    return path


def bodies(server: Server, path: str) -> list[dict]:
    return [json.loads(body) for _, where, _, body in server.requests if where == path]


def test_every_notifier_is_sent_a_beginning_and_an_end_that_say_they_are_a_test(
    run: Run, config: Path, server: Server
) -> None:
    ran = run("alerts", "test", "-c", config)

    assert ran.code == 0
    lines = ran.out.splitlines()
    assert [line.split()[:3] for line in lines] == [[n, "delivered", "in"] for n in ("webhook", "slack", "pagerduty")]
    assert all(line.endswith(" ms") for line in lines)
    (first, second) = (body["notifications"][0] for body in bodies(server, "/hook"))
    assert (first["status"], second["status"]) == ("firing", "resolved")
    assert first["fingerprint"] == second["fingerprint"]
    assert first["labels"] == second["labels"]
    assert first["labels"].items() >= {"test": "true", "team": "ml", "severity": "page"}.items()
    texts = [body["text"] for body in bodies(server, "/services/T0/B0/S3cr3tS3cr3t")]
    assert [text.split(":")[:2] for text in texts] == [["Firing", " Test"], ["Resolved", " Test"]]
    trigger, resolve = bodies(server, "/v2/enqueue")
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"]
    assert trigger["payload"]["summary"].startswith("Test: ")


def test_the_one_that_is_named_is_tried_alone(run: Run, config: Path, server: Server) -> None:
    ran = run("alerts", "test", "--config", config, "slack", "--json")

    (line,) = ran.out.splitlines()
    told = json.loads(line)
    assert ran.code == 0
    assert told.pop("milliseconds") >= 0
    assert told == {
        "notifier": "slack",
        "delivered": True,
        "told": 2,
        "permanent": False,
        "reason": None,
        "message": None,
    }
    assert {where for _, where, _, _ in server.requests} == {"/services/T0/B0/S3cr3tS3cr3t"}


def test_a_refusal_is_told_with_its_reason_and_without_the_secret(run: Run, config: Path, server: Server) -> None:
    server.status, server.answer = 404, b"no_service at /services/T0/B0/S3cr3tS3cr3t"
    ran = run("alerts", "test", "-c", config, "slack")

    assert ran.code == 3
    assert ran.out == "slack  refused: client_error: answered 404: no_service at ***\n"
    assert "S3cr3t" not in ran.err
    told = json.loads(run("alerts", "test", "-c", config, "slack", "--json").out)
    assert (told["delivered"], told["permanent"], told["reason"], told["told"]) == (False, True, "client_error", 0)


def test_a_failure_that_may_pass_is_told_as_one_and_not_tried_again(run: Run, config: Path, server: Server) -> None:
    server.status, server.headers = 503, {"Retry-After": "7"}
    ran = run("alerts", "test", "-c", config)

    assert ran.code == 3
    assert [line.split()[1:3] for line in ran.out.splitlines()] == [["failed:", "server_error:"]] * 3
    assert len(server.requests) == 3


def test_a_notifier_of_ones_own_that_breaks_half_way_is_told_in_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    path = tmp_path / "driftline.yaml"
    path.write_text("alerts: {log: false, plugins: [{use: './mine.py:Broken'}]}\n")
    ran = run("alerts", "test", "-c", path)

    assert ran.code == 3
    assert ran.out == (
        "broken  failed: server_error: the notifier raised RuntimeError: line one line two "
        "(the beginning was delivered, the end was not)\n"
    )


def test_letters_are_tried_as_all_else(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server(MailServer()) as office:
        monkeypatch.setenv("MAIL", office.password)
        path = tmp_path / "driftline.yaml"
        path.write_text(
            f"alerts: {{log: false, email: {{host: localhost, port: {office.port}, ca_file: '{CERTIFICATE}', "
            "username: driftline, password: {env: MAIL}, sender: a@example.com, to: [b@example.com]}}\n"
        )
        assert run("alerts", "test", "-c", path).code == 0
        subjects = [one.message["Subject"] for one in office.mails]
        assert subjects == ["[Driftline] Test: test fell"] * 2

        monkeypatch.setenv("MAIL", "wr0ngpa55")
        ran = run("alerts", "test", "-c", path, "email")
        assert (ran.code, ran.out) == (3, "email  refused: auth: answered 535: 5.7.8 no, not ***\n")


def test_what_is_not_there_is_named_with_what_is(run: Run, config: Path, tmp_path: Path) -> None:
    ran = run("alerts", "test", "-c", config, "slak")
    assert (ran.code, ran.err) == (2, "driftline: NOTIFIER: 'slak' is not one of webhook, slack, pagerduty\n")

    nobody = tmp_path / "nobody.yaml"
    nobody.write_text("alerts: {log: false}\n")
    ran = run("alerts", "test", "-c", nobody)
    assert (ran.code, ran.err) == (
        2,
        "driftline: alerts: no notifier is configured, so nobody would hear of a change\n",
    )
