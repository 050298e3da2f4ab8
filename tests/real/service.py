"""The real service: `driftline serve` as a process of its own, asked over its API and by `driftline why`.

It can be killed and started again on the same store, as after a crash.
"""

import contextlib
import json
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.real.parts.process import NotReady, Process, wait_until

DRIFTLINE = str(Path(sys.executable).with_name("driftline"))
COMMAND_SECONDS = 60.0
_READY_SECONDS = 60.0
_MOST_TRACES = 1000  # of one answer of /api/traces
_ADDRESS = re.compile(r"(otlp_http|otlp_grpc|web) +(\S+:\d+)")

Document = Mapping[str, Any]
Sheet = dict[str, Any]


def run_driftline(
    *arguments: str | Path, deadline_seconds: float = COMMAND_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run one `driftline` command to its end."""
    command = [DRIFTLINE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=deadline_seconds, stdin=subprocess.DEVNULL)


class Service:
    """`driftline serve` with its configuration, store and logs in `folder`, listening at free ports of its own.

    `options` are of the command, such as `--role`, `score`.
    """

    def __init__(self, folder: Path, document: Document | None = None, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._options = options
        self.command = [DRIFTLINE]
        self.folder = folder
        self.config_path = folder / "driftline.yaml"
        self.store_path = folder / "driftline.db"
        self.configure(document or {})
        self.addresses: dict[str, str] = {}
        self._starts = 0
        self._process: Process | None = None
        self._client = httpx.Client(timeout=10.0)

    def configure(self, document: Document) -> None:
        """Write another configuration, for the next start."""
        whole = _merged(self._defaults(), document)
        self.store_path = Path(whole["store"]["path"])
        self.config_path.write_text(yaml.safe_dump(whole))

    def _defaults(self) -> dict[str, Any]:
        return {
            "listen": dict.fromkeys(("otlp_http", "otlp_grpc", "web"), "127.0.0.1:0"),
            # the event time of tests is as it is, the view must not forget it while they look
            "store": {"path": str(self.folder / "driftline.db"), "retention": "36500d"},
            "assemble": {"quiet": "1s"},
        }

    # --- life ---

    @property
    def process(self) -> Process:
        assert self._process is not None, "the service was never started"
        return self._process

    @property
    def log(self) -> str:
        """Everything it has said since the last start."""
        return self.process.log_path.read_text()

    def launch(self) -> None:
        """Start it without waiting until it is ready."""
        self._starts += 1
        command = [*self.command, "serve", "-c", str(self.config_path), *self._options]
        log_path = self.folder / f"serve-{self._starts}.log"
        self._process = Process("driftline", command, log_path, {"PYTHONUNBUFFERED": "1"})
        self._process.start()

    def start(self, *, ready: bool = True) -> None:
        """Start it and return when it takes spans; with `ready=False` as soon as it listens."""
        self.launch()
        self.process.wait_ready(self._is_ready if ready else self._listens, _READY_SECONDS)

    def stop(self) -> int | None:
        """SIGTERM; the exit code."""
        return self.process.stop()

    def kill(self) -> None:
        """SIGKILL: as in a crash."""
        self.process.kill()

    def close(self) -> None:
        """Be gone; how it stops when it is asked to is a test's own business, by `stop`."""
        if self._process is not None:
            self._process.kill()
        self._client.close()

    def _listens(self) -> bool:
        if "\nready\n" not in self.log:
            return False
        self.addresses = dict(_ADDRESS.findall(self.log))  # the old ones until then: clients try on meanwhile
        return True

    def _is_ready(self) -> bool:
        return self._listens() and self._get("/readyz").status_code == 200

    # --- where it is and what it says ---

    @property
    def otlp_http(self) -> str:
        return f"http://{self.addresses['otlp_http']}"

    @property
    def otlp_grpc(self) -> str:
        return f"http://{self.addresses['otlp_grpc']}"

    @property
    def web(self) -> str:
        """HOST:PORT, as Prometheus wants it."""
        return self.addresses["web"]

    def api(self, path: str, **params: Any) -> Any:
        """The answer of the JSON API, such as `api("/api/status")`."""
        reply = self._get(path, **params)
        assert reply.status_code == 200, f"{path}: {reply.status_code} {reply.text[:500]}"
        return reply.json()

    def trace(self, trace_id: str) -> Sheet | None:
        """What is known of a trace now; None if it was not evaluated (yet)."""
        reply = self._get(f"/api/traces/{trace_id}")
        assert reply.status_code in (200, 404), reply.text[:500]
        return None if reply.status_code == 404 else reply.json()

    def metrics(self) -> dict[str, float]:
        """All samples of the classic text format, by series: `name{label="value",...}`."""
        reply = self._get("/metrics")
        assert reply.status_code == 200, reply.text[:500]
        lines = [line for line in reply.text.splitlines() if line and not line.startswith("#")]
        return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}

    def total(self, name: str, *parts: str) -> float:
        """The sum of a metric over the series that hold all `parts`, such as `reason="malformed"`."""
        matching = [
            value
            for series, value in self.metrics().items()
            if series.partition("{")[0] == name and all(part in series for part in parts)
        ]
        return sum(matching)

    def why(self, trace_id: str) -> Sheet:
        """`driftline why TRACE_ID --json`."""
        told = run_driftline("why", trace_id, "--json", "-c", self.config_path)
        assert told.returncode == 0, told.stdout + told.stderr
        found: Sheet = json.loads(told.stdout)
        return found

    def funnel(self) -> Counter[tuple[str, str, str]]:
        """Candidates by (scorer, decision, reason)."""
        rows = self.api("/api/funnel")["funnel"]
        return Counter({(row["scorer"], row["decision"], row["reason"]): row["count"] for row in rows})

    def candidates(self) -> dict[str, int]:
        """Candidates by scorer, whatever became of them."""
        counts: Counter[str] = Counter()
        for (scorer, _, _), count in self.funnel().items():
            counts[scorer] += count
        return dict(counts)

    def stored(self, query: str, *values: object) -> list[Any]:
        """Rows straight from the store, past everything that might hide a double."""
        uri = f"file:{self.store_path}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
            return list(connection.execute(query, values))

    def _get(self, path: str, **params: Any) -> httpx.Response:
        return self._client.get(f"http://{self.web}{path}", params=params)

    # --- waiting ---

    def wait(
        self, look: Callable[[], Any], what: str, deadline_seconds: float = 30.0, every_seconds: float = 0.05
    ) -> Any:
        """`wait_until(look)`, given up at once, with the end of its log, when the service ends."""

        def alive() -> Any:
            if not self.process.running:
                raise NotReady(f"it ended with exit code {self.process.exit_code} before {what}")
            return look()

        try:
            return wait_until(alive, what, deadline_seconds, every_seconds)
        except NotReady as error:
            raise NotReady(f"{error}\n{self.process.log_tail()}") from None

    def wait_for_traces(self, trace_ids: Iterable[str], deadline_seconds: float = 30.0) -> dict[str, Sheet]:
        """The sheet of each trace, once all are evaluated and nothing waits any more."""
        missing, found = set(trace_ids), dict[str, Sheet]()

        def look() -> bool:
            recent = {one["trace_id"] for one in self.api("/api/traces", limit=_MOST_TRACES)["traces"]}
            ready = missing & recent or set(list(missing)[:50])
            for trace_id in ready:
                sheet = self.trace(trace_id)
                if sheet is not None:
                    found[trace_id] = sheet
                    missing.discard(trace_id)
            return not missing

        try:
            self.wait(look, "every trace to be evaluated", deadline_seconds)
        except NotReady as error:
            raise NotReady(f"{len(missing)} traces are missing, such as {sorted(missing)[:3]}\n{error}") from None
        self.wait_until_idle(deadline_seconds)
        return {trace_id: sheet for trace_id in found if (sheet := self.trace(trace_id)) is not None}

    def wait_until_idle(self, deadline_seconds: float = 30.0) -> None:
        """Return when every stage has worked off its log and no trace waits for its end."""
        ends = " UNION ALL ".join(
            f"SELECT '{log}', coalesce(max(offset), 0) + 1 FROM log_{log}" for log in ("decisions", "scores", "changes")
        )

        def look() -> bool:
            if self.metrics().get("driftline_open_traces", 0) > 0:
                return False
            end_of = dict(self.stored(ends))
            end_of["spans"] = self.stored("SELECT coalesce(max(offset), 0) + 1 FROM log_spans")[0][0]
            stages = self.stored("SELECT log, next_offset, stage FROM stages WHERE stage <> 'score'")
            return all(next_offset >= end_of[log] or end_of[log] == 1 for log, next_offset, _ in stages)

        self.wait(look, "every stage to be done", deadline_seconds)


@contextlib.contextmanager
def service(folder: Path, document: Document | None = None, *, ready: bool = True) -> Iterator[Service]:
    """A service that takes spans; gone however the block ends. `document` is laid over small defaults for tests."""
    part = Service(folder, document)
    try:
        part.start(ready=ready)
        yield part
    finally:
        part.close()


_SLOW_SCORER = '''"""As slow as a scorer may be."""

import time

from collector.core.model import Trace
from scorers.base import scorer


@scorer(name="slow", needs=(), range=(0, 1))
def slow(trace: Trace) -> float:
    time.sleep(0.1)
    return 1.0
'''


def overloaded(folder: Path) -> dict[str, Any]:
    """What makes a service that cannot keep up: 100 ms for each trace, and room for one request that waits."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "slow.py").write_text(_SLOW_SCORER)
    return {"scorers": ["latency", "./slow.py:slow"], "monitors": [], "store": {"max_backlog": "1B"}}


def values(sheets: Iterable[Sheet], scorer: str) -> dict[str, float]:
    """The value that a scorer gave, by trace; traces without one are left out."""
    return {
        sheet["trace_id"]: decision["score"]["value"]
        for sheet in sheets
        for decision in sheet["decisions"]
        if decision["scorer"] == scorer and "score" in decision
    }


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = _merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return merged
