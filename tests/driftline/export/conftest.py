"""A store in which a few hundred recorded requests with a regression were evaluated, with its changes."""

import pytest

from collector.core.clock import FakeClock
from collector.core.engine import CHANGES, DECISIONS, SPANS, TICK_KIND, Record
from collector.engines.sqlite_reader import read_log
from driftline.build import build
from driftline.config import load_config
from driftline.demo.recordings import shipped_sample
from driftline.demo.traffic import Traffic
from driftline.stages.score_worker import END_OF_INPUT
from tests.driftline.export.store import Store

END_NS = 1_790_000_000_000_000_000
SERVICE = """
listen: {otlp_http: null, otlp_grpc: null, web: null}
store: {path: STORE, retention: 36500d}
alerts: {log: false, labels: {team: ml}}
false_pages: 1 per hour
scorers: [groundedness, refusal, latency, {use: tokens, rate: 0.5}]
monitors: [{watch: groundedness, by: [service, version], warmup: 40}]
"""


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    config_path = folder / "driftline.yaml"
    config_path.write_text(SERVICE.replace("STORE", str(folder / "store.db")))
    service = build(load_config(config_path, {}), FakeClock())  # its time stands still: nothing is trimmed
    traffic = Traffic(shipped_sample(), end_ns=END_NS, traces=400, seed=2)
    records = [Record(request.body, kind=request.kind) for request in traffic.requests()]
    service.engine.append(SPANS, [*records, Record(END_OF_INPUT, kind=TICK_KIND)]).result()
    service.drain()
    service.stop()
    path = folder / "store.db"
    return Store(config_path, list(read_log(path, DECISIONS)), list(read_log(path, CHANGES)))
