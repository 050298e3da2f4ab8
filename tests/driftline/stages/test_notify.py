"""From the log of changes to people, in a service that runs: who was told is on record, through a restart."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from alerts.history import Delivery
from collector.core.engine import CHANGES, Record
from drift.base import Change, encode_change
from driftline.build import build
from driftline.config import Config, load_config
from driftline.service import Service
from tests.alerts.conftest import EXAMPLE, Server, server
from tests.alerts.smtp import CERTIFICATE, MailServer, mail_server
from tests.real.parts.process import wait_until

__all__ = ["server"]


@contextmanager
def running(config: Config) -> Iterator[Service]:
    service = build(config)
    service.start()
    try:
        yield service
    finally:
        service.stop()


def tell(service: Service, *changes: Change) -> None:
    service.engine.append(CHANGES, [Record(encode_change(change)) for change in changes]).result()


def outcomes(service: Service, change_id: str, notifier: str) -> list[tuple[str, str]]:
    found: list[Delivery] = [one for one in service.deliveries(change_id) if one.notifier == notifier]
    return [(one.kind, one.outcome) for one in found]


@pytest.fixture
def post_office() -> Iterator[MailServer]:
    with mail_server(MailServer()) as state:
        yield state


@pytest.fixture
def config(tmp_path: Path, server: Server, post_office: MailServer, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("SLACK", f"{server.url}/slack")
    monkeypatch.setenv("MAIL", post_office.password)
    path = tmp_path / "driftline.yaml"
    path.write_text(
        f"""
listen: {{otlp_http: null, otlp_grpc: null, web: null}}
store: {{path: '{tmp_path}/a.db'}}
alerts:
  log: false
  slack: {{url: {{env: SLACK}}, rate_limit: 1 per week}}
  email:
    {{host: localhost, port: {post_office.port}, ca_file: '{CERTIFICATE}', username: driftline, password: {{env: MAIL}},
    sender: driftline@example.com, to: [oncall@example.com]}}
"""
    )
    return load_config(path, {})


def test_people_are_told_and_it_is_on_record_also_after_a_restart(
    config: Config, server: Server, post_office: MailServer
) -> None:
    over = {"status": "resolved", "sequence": 2, "resolved_ns": EXAMPLE.detected_ns + 1}
    with running(config) as service:
        tell(service, EXAMPLE)
        both = [("firing", "delivered")]
        wait_until(lambda: outcomes(service, EXAMPLE.id, "slack") == both, "Slack is told")
        wait_until(lambda: outcomes(service, EXAMPLE.id, "email") == both, "a letter is sent")

        tell(service, _with(id="second"))
        wait_until(lambda: outcomes(service, "second", "slack") == [("firing", "held_back")], "the limit holds it back")
        wait_until(lambda: outcomes(service, "second", "email") == both, "a letter is sent")

    with running(config) as service:
        wait_until(
            lambda: outcomes(service, "second", "slack") == [("firing", "held_back")], "the record is read again"
        )
        tell(service, _with(**over))
        ended = [*both, ("resolved", "delivered")]
        wait_until(lambda: outcomes(service, EXAMPLE.id, "slack") == ended, "the end is not held back")
        wait_until(lambda: outcomes(service, EXAMPLE.id, "email") == ended, "a letter is sent")

    said = [json.loads(body)["text"].split(":")[0] for _, path, _, body in server.requests if path == "/slack"]
    assert said == ["Firing", "Resolved"]
    assert len(post_office.mails) == 3


def _with(**fields: object) -> Change:
    return replace(EXAMPLE, **fields)  # type: ignore[arg-type]
