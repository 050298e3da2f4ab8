"""What a trace holds of people and secrets is nowhere but, at most, in the inbox: every file and answer is read."""

import asyncio
import io
import logging
import re
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import orjson
import pyarrow.parquet
import pytest
import yaml

from collector.core.clock import FakeClock
from collector.core.engine import SPANS, TICK_KIND, Record
from collector.redaction.found import TOKEN
from driftline.build import build
from driftline.config import load_config
from driftline.logs import redact_logs
from driftline.service import Service
from driftline.stages.ticks import END_OF_INPUT
from driftline.view import view_path
from driftline.web.app import create_app
from tests.driftline.conftest import Run
from tests.driftline.planted import NEEDLES, RULES, scenarios

PLUG_INS = """
import logging
from scorers.base import Evidence, Score, scorer

@scorer(name="tells_all")
def tells_all(trace):
    said = " ".join([trace.answer or "", trace.question or "", trace.user_id or "", str(trace.resource)])
    logging.getLogger("plugin").warning("scoring %s", said)
    return Score(0.5, label=said[-90:], explanation=said, evidence=(Evidence(0, 3, "said " + said, said),))

@scorer(name="tells_all_of_sessions", target="session")
def tells_all_of_sessions(session):
    said = " ".join(str(turn) for turn in session.turns) + session.session_id + session.service
    return Score(0.5, label=said[-90:], explanation=said, evidence=(Evidence(0, 3, "said", said),))

@scorer(name="fails")
def fails(trace):
    raise ValueError(f"no {trace.answer} {trace.question}")

@scorer(name="by_operation")
def by_operation(trace):
    return [Score(1.0, span_id=f"{at} {trace.user_id}"[:64]) for at in range(2)]

def find_names(text):
    at = text.find("Wilhelmina Zweistein")
    while at >= 0:
        yield at, at + len("Wilhelmina Zweistein")
        at = text.find("Wilhelmina Zweistein", at + 1)
"""
SLICES = {"service": "resource.service.name", "version": "resource.service.version", "what": "name"}
SCORERS = ["pii", "secrets", "groundedness", "refusal", "latency", "error", "repeated_questions"]
PLUG_IN_NAMES = ("tells_all", "tells_all_of_sessions", "fails", "by_operation")


class Ran:
    """A service that has taken in everything, and what it wrote."""

    def __init__(self, folder: Path, at: str, action: str) -> None:
        (folder / "plug_ins.py").write_text(PLUG_INS)
        self.folder, self.at, self.action, self.config_path = folder, at, action, folder / "driftline.yaml"
        document: dict[str, Any] = {
            "listen": {"otlp_http": None, "otlp_grpc": None, "web": None},
            "store": {"path": str(folder / "store.db")},
            "slices": SLICES,
            "scorers": [
                *SCORERS,
                *({"use": f"./plug_ins.py:{name}"} for name in PLUG_IN_NAMES),
            ],
            "monitors": [{"watch": "latency", "by": ["service", "what"]}],
            "alerts": {"log": False},
            "export": {"parquet": {"path": str(folder / "lake"), "max_rows": 20}},
            "redact": {
                "at": at,
                "action": action,
                "rules": RULES,
                "names": "./plug_ins.py:find_names",
                "deny": ["app.denied"],
            },
        }
        self.config_path.write_text(yaml.safe_dump(document))
        self.logged = io.StringIO()
        handler = logging.StreamHandler(self.logged)
        logging.getLogger().addHandler(handler)
        try:
            self.service = build(load_config(self.config_path, {}))
            redact_logs(self.service.redactor, [handler])
            self._run()
        finally:
            logging.getLogger().removeHandler(handler)

    def _run(self) -> None:
        for requests in scenarios():
            for kind, body in requests:
                self.service.engine.append(SPANS, self.service.network.records(kind, body, "")).result()
        self.service.engine.append(SPANS, [Record(END_OF_INPUT, kind=TICK_KIND)]).result()
        self.service.drain()

    def answers(self) -> dict[str, bytes]:
        """All that the page, the API, the metrics and probes say."""
        (listed,) = _ask(self.service, ["/api/traces?limit=500"]).values()
        ids = [one["trace_id"] for one in orjson.loads(listed)["traces"]]
        assert len(ids) > 20
        paths = ["/", "/metrics", "/healthz", "/api/status", "/api/changes", "/api/traces", "/api/funnel"]
        paths += ["/api/series", "/api/scores?scorer=tells_all"]
        paths += [f"{start}/traces/{trace_id}" for trace_id in ids for start in ("", "/api")]
        return _ask(self.service, paths)

    def files(self) -> dict[str, bytes]:
        """All files that it wrote; with redaction on leaving, without the raw bytes in the inbox."""
        self.service.stop()
        store = self.folder / "store.db"
        found: dict[str, bytes] = {}
        for database in (store, view_path(store)):
            with closing(sqlite3.connect(database)) as connection:
                if self.at == "output" and database == store:
                    connection.execute(f"DELETE FROM log_{SPANS}")
                    connection.commit()
                    connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                found |= {f"{database.name}/{table}": rows for table, rows in _tables(connection)}
        written = {path for path in self.folder.rglob("*") if path.is_file()} - {self.folder / "plug_ins.py"}
        found |= {str(path): path.read_bytes() for path in written if path.suffix != ".pyc"}
        tables = [path for path in written if path.suffix == ".parquet"]
        assert tables
        for path in written:
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as packed:
                    found |= {f"{path}/{name}": packed.read(name) for name in packed.namelist()}
        return found | {f"{path}/rows": str(pyarrow.parquet.read_table(path).to_pylist()).encode() for path in tables}


def _tables(connection: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    """Every value of every table: in the file, a long one is in pieces on several pages."""
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        rows = connection.execute(f"SELECT * FROM {name}")
        yield name, b"\n".join(cell if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row)


def _ask(service: Service, paths: Sequence[str]) -> dict[str, bytes]:
    async def answer() -> dict[str, bytes]:
        transport = httpx.ASGITransport(create_app(service, FakeClock()))
        async with httpx.AsyncClient(transport=transport, base_url="http://driftline") as client:
            found = {path: await client.get(path) for path in paths}
        assert {path: got.text for path, got in found.items() if got.status_code != 200} == {}
        return {path: got.content for path, got in found.items()}

    return asyncio.run(answer())


def scorers_that_decided(funnel: bytes) -> list[str]:
    return re.findall(r'"scorer":"(\w+)"', funnel.decode())


def leaks(said: dict[str, bytes]) -> list[tuple[str, str]]:
    return [(where, needle) for where, content in said.items() for needle in NEEDLES if needle.encode() in content]


@pytest.fixture(scope="module", params=[("output", "hash"), ("receive", "hash"), ("receive", "drop")], ids="-".join)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    made = Ran(tmp_path_factory.mktemp("redacted"), *request.param)
    yield made
    made.service.stop()


def test_nothing_planted_is_in_an_answer_a_log_line_or_a_file(ran: Ran, run: Run) -> None:
    answers = ran.answers()
    assert leaks(answers) == []
    assert {"tells_all_of_sessions", "tells_all", "fails"} <= set(scorers_that_decided(answers["/api/funnel"]))
    assert "scoring" in ran.logged.getvalue()
    assert leaks({"log": ran.logged.getvalue().encode()}) == []
    tokens = {match[0] for match in TOKEN.finditer(answers["/api/traces"].decode()) if match[1] == "email"}
    assert len(tokens) == (1 if ran.action == "hash" else 0)  # one address: one token, in every trace
    exported = ran.folder / "cases.jsonl"
    assert run("export", "cases", "-c", ran.config_path, "--all", exported).code == 0
    packed = ran.folder / "evidence.zip"
    assert run("export", "evidence", "-c", ran.config_path, "--from", "2020-01-01", packed).code == 0
    trace_id = orjson.loads(answers["/api/traces"])["traces"][0]["trace_id"]
    told = run("why", "-c", ran.config_path, trace_id)
    assert leaks({"why": told.out.encode(), "cases": exported.read_bytes()}) == []
    assert len(exported.read_bytes().splitlines()) > 10
    assert leaks(ran.files()) == []
