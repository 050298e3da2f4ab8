"""The configuration is read again while the service runs: what is unchanged goes on, what is wrong changes nothing."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from driftline.audit import user
from tests.real.bodies import TraceBodies, record_app
from tests.real.cluster import PROTOBUF, START_NS
from tests.real.service import Service, run_driftline, service

_SCORER = '''
from collector.core.model import Trace
from scorers.base import scorer


@scorer(name="politeness", needs=("answer",))
def politeness(trace: Trace) -> float:
    """Polite?"""
    return VALUE
'''
RELOADED = "driftline_config_last_reload_success_timestamp_seconds"
SUCCESSFUL = "driftline_config_last_reload_successful"


@pytest.fixture(scope="module")
def bodies() -> list[TraceBodies]:
    return record_app(60, 7, START_NS)


def document(*scorers: object, **more: Any) -> dict[str, Any]:
    monitors = [{"watch": "refusal", "by": ["service"], "warmup": 20}]
    return {"scorers": ["refusal", *scorers], "monitors": monitors, "alerts": {"log": False}, **more}


def post(driftline: Service, body: TraceBodies) -> None:
    content = body.spans.SerializeToString()
    reply = httpx.post(f"{driftline.otlp_http}/v1/traces", content=content, headers=PROTOBUF)
    assert reply.status_code == 200, reply.text


def reload(driftline: Service, succeeds: bool = True) -> None:
    before = driftline.metrics()[RELOADED]
    os.kill(driftline.process.pid, signal.SIGHUP)
    if succeeds:
        driftline.wait(lambda: driftline.metrics()[RELOADED] > before, "the new configuration to be in force")
    else:
        driftline.wait(lambda: driftline.metrics()[SUCCESSFUL] == 0, "the new configuration to be refused")
        assert driftline.metrics()[RELOADED] == before


def decisions(driftline: Service, body: TraceBodies) -> dict[str, dict[str, Any]]:
    sheet = driftline.wait_for_traces([body.trace_id])[body.trace_id]
    return {one["scorer"]: one for one in sheet["decisions"]}


def seen(driftline: Service) -> int:
    (series,) = driftline.api("/api/series")["series"]
    return int(series["points"])


@pytest.fixture
def driftline(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "mine.py").write_text(_SCORER.replace("VALUE", "0.25"))
    with service(tmp_path, document("./mine.py:politeness")) as running:
        yield running


def test_what_is_unchanged_goes_on_and_what_is_new_is_in_force(driftline: Service, bodies: list[TraceBodies]) -> None:
    for body in bodies[:30]:
        post(driftline, body)
    driftline.wait_for_traces([body.trace_id for body in bodies[:30]])
    before = decisions(driftline, bodies[0])
    counted = seen(driftline)
    assert counted > 0

    (driftline.folder / "mine.py").write_text(_SCORER.replace("VALUE", "0.75"))
    driftline.configure(document("./mine.py:politeness", "latency"))
    reload(driftline)

    post(driftline, bodies[30])
    after = decisions(driftline, bodies[30])
    assert set(before) == {"refusal", "politeness"}
    assert set(after) == {"refusal", "politeness", "latency"}
    assert after["refusal"]["evaluator_id"] == before["refusal"]["evaluator_id"]
    assert after["politeness"]["evaluator_id"] != before["politeness"]["evaluator_id"]
    assert [one["politeness"]["score"]["value"] for one in (before, after)] == [0.25, 0.75]
    assert seen(driftline) == counted + 1, "the detector goes on where it was"
    info = {series for series in driftline.metrics() if series.startswith("driftline_scorer_info{")}
    assert len(info) == 3, "an id that is no longer in force is not told"
    assert driftline.stop() == 0
    assert "Traceback" not in driftline.log


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (document("no_such_scorer"), "scorers[1]: 'no_such_scorer' is not one of"),
        (document(monitors=[{"watch": "nothing"}]), "monitors[0].watch: 'nothing'"),
        (document(assemble={"quiet": "-1s"}), "assemble.quiet: "),
        (document(listen={"web": "127.0.0.1:1"}), "listen: a running service does not take this up; restart it"),
    ],
)
def test_what_is_wrong_is_refused_whole_and_the_old_goes_on(
    driftline: Service, bodies: list[TraceBodies], wrong: dict[str, Any], told: str
) -> None:
    driftline.configure({**document("latency"), **wrong})
    reload(driftline, succeeds=False)
    (line,) = [line for line in driftline.log.splitlines() if "is not taken up" in line]
    assert told in line
    post(driftline, bodies[0])
    assert set(decisions(driftline, bodies[0])) == {"refusal", "politeness"}
    driftline.configure(document())
    reload(driftline)
    assert driftline.metrics()[SUCCESSFUL] == 1
    post(driftline, bodies[1])
    assert set(decisions(driftline, bodies[1])) == {"refusal"}


def test_nothing_is_refused_lost_or_done_twice_while_it_is_read_again_and_again(
    driftline: Service, bodies: list[TraceBodies]
) -> None:
    def send() -> None:
        for body in bodies:
            post(driftline, body)

    sender = threading.Thread(target=send)
    sender.start()
    for number in range(4):
        driftline.configure(document(*(["latency"] if number % 2 else [])))
        reload(driftline)
    sender.join()
    sheets = driftline.wait_for_traces([body.trace_id for body in bodies])
    assert len(sheets) == len(bodies)
    assert driftline.stored("SELECT count(*) FROM log_decisions") == [(len(bodies),)]
    assert driftline.candidates()["refusal"] == len(bodies)


def test_a_trace_that_waits_for_its_end_waits_on(tmp_path: Path, bodies: list[TraceBodies]) -> None:
    with service(tmp_path, document(assemble={"quiet": "3s"})) as driftline:
        post(driftline, bodies[0])
        driftline.wait(lambda: driftline.metrics()["driftline_open_traces"] == 1, "the trace to be open")
        driftline.configure(document("latency", assemble={"quiet": "1s"}))
        reload(driftline)
        assert set(decisions(driftline, bodies[0])) == {"refusal", "latency"}
        assert driftline.stored("SELECT count(*) FROM log_decisions") == [(1,)]


def test_a_scorer_whose_file_changed_is_told_and_the_others_are_not(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    code = "from scorers.base import scorer\n@scorer(name='own')\ndef own(trace):\n    return {}\n"
    own.write_text(code.format(0.1))
    with service(tmp_path, document(f"{own}:own")) as driftline:
        own.write_text(code.format(0.2))
        told = run_driftline("reload", "-c", driftline.config_path)
        assert told.stdout == (
            "the configuration is taken up; changed:\n  scorer own: another evaluator from now on\n"
        ), told.stderr


@pytest.mark.parametrize("text", ["def (", "raise SystemExit(0)"])
def test_a_scorer_that_cannot_be_read_again_is_told_and_the_service_goes_on(tmp_path: Path, text: str) -> None:
    own = tmp_path / "own.py"
    own.write_text("from scorers.base import scorer\n@scorer(name='own')\ndef own(trace):\n    return 0.1\n")
    with service(tmp_path, document(f"{own}:own")) as driftline:
        own.write_text(text)
        told = run_driftline("reload", "-c", driftline.config_path)
        assert told.returncode == 2, told.stderr
        assert "scorers[1]: " in told.stderr
        assert "fails as it is read: S" in told.stderr
        assert driftline.metrics()[SUCCESSFUL] == 0
        assert driftline.stop() == 0


def audited(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    return [line for line in lines if line["action"].startswith("config.")]


def test_the_command_says_what_changed_or_what_is_wrong(tmp_path: Path) -> None:
    audit = {"audit": {"path": str(tmp_path / "audit.jsonl")}}
    with service(tmp_path, document(**audit)) as driftline:
        config = driftline.config_path
        same = run_driftline("reload", "-c", config)
        assert (same.returncode, same.stdout) == (0, "read again: nothing changed\n"), same.stderr

        driftline.configure(document("latency", sample={"rate": 0.5}, **audit))
        told = run_driftline("reload", "-c", config)
        assert (told.returncode, told.stderr) == (0, "")
        assert told.stdout == "the configuration is taken up; changed:\n  sample.rate\n  scorers\n"
        assert driftline.metrics()[SUCCESSFUL] == 1

        driftline.configure(document(sample={"rate": 7}, listen={"web": "127.0.0.1:1"}, **audit))
        wrong = run_driftline("reload", "-c", config)
        assert (wrong.returncode, wrong.stdout) == (2, "")
        first, *problems = wrong.stderr.splitlines()
        assert first == "driftline: the configuration is not taken up, the old one stays in force"
        assert any("sample.rate: 7" in line for line in problems), wrong.stderr
        assert driftline.metrics()[SUCCESSFUL] == 0

        as_json = run_driftline("reload", "--json", "-c", config)
        assert as_json.returncode == 2
        assert json.loads(as_json.stdout)["problems"] == [line.removeprefix("driftline: ") for line in problems]

        config.write_text(f"{config.read_text()}\nscorers: [refusal\n")
        no_yaml = run_driftline("reload", "-c", config)
        assert (no_yaml.returncode, no_yaml.stdout) == (2, "")
        assert f"{config}: is not YAML, line " in no_yaml.stderr
        config.write_text("scorers: [refusal\n")
        assert run_driftline("reload", "-c", config).returncode == 2, "not even where the service is"
        assert driftline.stop() == 0
        assert not (tmp_path / "driftline.db.control").exists()

        driftline.configure(document(**audit))
        gone = run_driftline("reload", "-c", config)
        assert gone.returncode == 3
        assert "no service answers at" in gone.stderr

    lines = audited(tmp_path)
    assert [line["action"] for line in lines] == ["config.reloaded"] * 2 + ["config.refused"] * 3
    assert {(line["by"], line["user"]) for line in lines} == {("command", user())}
    assert lines[1]["changed"] == ["sample.rate", "scorers"]


def test_a_service_that_was_killed_is_asked_again_once_it_runs_again(tmp_path: Path) -> None:
    with service(tmp_path, document()) as driftline:
        driftline.kill()
        assert run_driftline("reload", "-c", driftline.config_path).returncode == 3
        driftline.start()
        assert run_driftline("reload", "-c", driftline.config_path).returncode == 0
