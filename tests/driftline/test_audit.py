"""The audit log: what is told of a change, and a file that keeps it, bounded and private."""

import json
import logging
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.core import audit
from collector.core.errors import UserError
from driftline import audit as module
from driftline.audit import AuditConfig, AuditFile, auditing, changed_keys
from driftline.config import Config


@pytest.fixture(autouse=True)
def unchanged_logger() -> Iterator[None]:
    before = list(audit.AUDIT.handlers)
    yield
    assert before == audit.AUDIT.handlers, "nothing is left behind"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_is_an_object_with_its_time_and_is_on_disk_when_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "audit.jsonl", []
    real = os.fsync
    monkeypatch.setattr(module.os, "fsync", lambda descriptor: synced.append(path.read_text()) or real(descriptor))
    with auditing(AuditConfig(path=path)):
        audit.record("store.restored", user="ana", path="/a/b.db", replaced=None)
    (line,) = lines(path)
    assert line.pop("at").endswith("+00:00")
    assert line == {"action": "store.restored", "user": "ana", "path": "/a/b.db", "replaced": None}
    assert synced == [path.read_text()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_file_it_is_in_the_log_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with auditing(AuditConfig()):
        audit.record("service.started", user="ana")
    assert '"action":"service.started"' in caplog.text


def test_a_text_cannot_break_the_line_or_fill_the_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with auditing(AuditConfig(path=path)):
        audit.record("access.refused", address='x\n{"action": "forged"}' + "y" * 10_000)
    (line,) = lines(path)
    assert line["action"] == "access.refused"
    assert len(line["address"]) == 500


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text('{"action":"whole"}\n{"action":"cut of')
    with auditing(AuditConfig(path=path)):
        audit.record("service.started", user="ana")
        audit.record("service.stopped", user="ana")
    first, cut, *rest = path.read_text().splitlines()
    assert (first, cut) == ('{"action":"whole"}', '{"action":"cut of')
    assert [json.loads(line)["action"] for line in rest] == ["service.started", "service.stopped"]


def test_a_line_that_the_disk_takes_in_part_is_told_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "audit.jsonl"
    real = os.write
    with auditing(AuditConfig(path=path)):
        with monkeypatch.context() as full:
            full.setattr(module.os, "write", lambda descriptor, line: real(descriptor, line[:10]))
            audit.record("service.started", user="ana")
        audit.record("service.stopped", user="ana")
    assert "cannot be written, the line is in this log only: No space left on device" in caplog.text
    cut, last = path.read_text().splitlines()
    assert len(cut) == 10
    assert json.loads(last)["action"] == "service.stopped"


def test_files_are_set_aside_by_size_and_the_oldest_deleted(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with auditing(AuditConfig(path=path, max_size="1KiB", keep=2)):
        for number in range(100):
            audit.record("number", number=number)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    kept = [lines(tmp_path / f"audit.jsonl{end}") for end in (".2", ".1", "")]
    numbers = [line["number"] for part in kept for line in part]
    assert numbers == list(range(numbers[0], 100))
    assert all(one.stat().st_size <= 1024 for one in tmp_path.iterdir())


def test_several_writers_lose_nothing_while_files_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    writers = [AuditFile(path, 2048, 1000) for _ in range(4)]

    def write(writer: AuditFile, first: int) -> None:
        for number in range(first, first + 50):
            writer.emit(logging.LogRecord("a", logging.INFO, "", 0, json.dumps({"number": number}), None, None))

    threads = [threading.Thread(target=write, args=(writer, 100 * at)) for at, writer in enumerate(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [line["number"] for file in tmp_path.iterdir() for line in lines(file)]
    assert sorted(numbers) == [100 * at + number for at in range(4) for number in range(50)]


def test_a_file_that_cannot_be_written_is_told_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"audit\.path: .* cannot be written"), auditing(AuditConfig(path=tmp_path)):
        raise AssertionError("nothing may be done")


def test_a_file_that_can_no_longer_be_written_stops_nothing_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "folder" / "audit.jsonl"
    path.parent.mkdir()
    with auditing(AuditConfig(path=path)):
        path.unlink()
        path.parent.rmdir()
        audit.record("service.stopped", user="ana")
    assert "cannot be written, the line is in this log only" in caplog.text
    assert '"service.stopped"' in caplog.text


def test_what_changed_is_told_by_key_and_never_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    def config(secret: str, **more: Any) -> Config:
        monkeypatch.setenv("DRIFTLINE_TEST_SECRET", secret)
        hook = {"url": {"env": "DRIFTLINE_TEST_SECRET"}, "headers": {"authorization": {"env": "DRIFTLINE_TEST_SECRET"}}}
        return Config.model_validate({"alerts": {"webhook": hook}, **more})

    old = config("https://a.example/hunter2", sample={"rate": 0.5}, scorers=["refusal"])
    new = config(
        "https://a.example/hunter3", sample={"rate": 0.25}, scorers=["refusal", "error"], slices={"x": "resource.x"}
    )
    told = changed_keys(old, new)
    assert told == [
        "alerts.webhook.headers.authorization",
        "alerts.webhook.url",
        "sample.rate",
        "scorers",
        "slices.x",
    ] or (set(told) >= {"alerts.webhook.headers.authorization", "alerts.webhook.url", "sample.rate", "scorers"})
    assert "hunter" not in str(told)
    assert changed_keys(old, old) == []


def test_of_a_list_as_long_as_before_the_item_is_told() -> None:
    old = Config.model_validate({"monitors": [{"watch": "refusal"}, {"watch": "error", "warmup": 50}]})
    new = Config.model_validate({"monitors": [{"watch": "refusal"}, {"watch": "error", "warmup": 60}]})
    assert changed_keys(old, new) == ["monitors[1].warmup"]
