"""An engine in memory whose logs have partitions, and workers on it that are turned by hand.

A worker may know of fewer partitions than there are (`known`), as one whose view of the cluster is old.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from collector.assemble import Assembler
from collector.core.clock import FakeClock
from collector.core.engine import DECISIONS, LOGS, SCORES, SPANS, TICK_KIND, Entry, Listener, Record
from collector.core.errors import StoreError
from collector.core.telemetry import Telemetry
from collector.redaction.config import attribute_lists
from collector.redaction.redactor import Redactor
from collector.sample import Sampler
from collector.sessions import Sessions
from collector.slices import SliceReader
from collector.wire.route import partition_of
from drift.base import decode_points
from drift.monitor import Watcher
from driftline.config import DEFAULT_SCORERS, Config
from driftline.evaluate import Evaluator
from driftline.evaluate_session import SessionEvaluator
from driftline.flow import load_parts
from driftline.outputs import Outputs
from driftline.pipeline import Stage
from driftline.score_route import ScoreRoute
from driftline.stages.score import ScoreStage
from driftline.stages.session import SessionStage
from driftline.stages.watch import WatchStage
from scorers.runner import Runner
from tests.driftline.test_pipeline import END_NS, SECOND


class Cluster:
    """What outlives the workers."""

    def __init__(self, **partitions: int) -> None:
        self.logs: dict[str, list[list[Record]]] = {log: [[] for _ in range(partitions.get(log, 1))] for log in LOGS}
        self.offsets: dict[tuple[str, int], int] = {}
        self.states: dict[tuple[str, int], dict[str, bytes]] = {}
        self.failing = 0  # commits that fail before the next that works

    def grow(self, log: str, partitions: int) -> None:
        self.logs[log] += [[] for _ in range(partitions - len(self.logs[log]))]

    def put(self, log: str, record: Record) -> None:
        places = self.logs[log]
        places[partition_of(record.key, len(places)) if record.partition is None else record.partition].append(record)

    def tick(self, seconds: float) -> None:
        """Event time goes on in every partition."""
        for number in range(len(self.logs[SPANS])):
            self.put(SPANS, Record(str(END_NS + round(seconds * SECOND)).encode(), kind=TICK_KIND, partition=number))

    def revisions(self) -> Counter[tuple[str, int]]:
        """How often each revision of each trace was decided on."""
        sheets = [orjson.loads(record.value) for place in self.logs[DECISIONS] for record in place]
        return Counter((sheet["trace_id"], sheet["revision"]) for sheet in sheets)

    def decisions(self, scorer: str) -> Counter[str]:
        """What was decided for this scorer, over all partitions."""
        sheets = [orjson.loads(record.value) for place in self.logs[DECISIONS] for record in place]
        return Counter(row[2] for sheet in sheets for row in sheet["rows"] if row[0] == scorer)

    def scored(self, scorer: str) -> set[tuple[str, int]]:
        """The traces, each with its revision, that this scorer gave a score."""
        sheets = [orjson.loads(record.value) for place in self.logs[DECISIONS] for record in place]
        return {
            (sheet["trace_id"], sheet["revision"])
            for sheet in sheets
            for row in sheet["rows"]
            if row[0] == scorer and row[2] == "scored"
        }

    def first_points(self) -> Counter[tuple[str, str]]:
        """How often each score was sent to the watchers as one that corrects none."""
        points = [
            point
            for place in self.logs[SCORES]
            for record in place
            if not record.kind
            for point in decode_points(record.value)
        ]
        return Counter((point.trace_id, point.metric) for point in points if not point.corrects)


class _Transaction:
    def __init__(self, owned: "_Owned") -> None:
        self._owned = owned
        self._outputs: list[tuple[str, Record]] = []
        self._state: dict[str, bytes | None] = {}
        self._offset: int | None = None

    def append(self, log: str, records: Iterable[Record]) -> None:
        self._outputs += [(log, record) for record in records]

    def put(self, key: str, value: bytes) -> None:
        self._state[key] = value

    def delete(self, key: str) -> None:
        self._state[key] = None

    def offset(self, next_offset: int) -> None:
        self._offset = next_offset

    def commit(self) -> None:
        cluster, place = self._owned.cluster, self._owned.place
        if cluster.failing:
            cluster.failing -= 1
            raise StoreError("the group was rebalancing")
        for log, record in self._outputs:
            cluster.put(log, record)
        for key, value in self._state.items():
            if value is None:
                cluster.states[place].pop(key, None)
            else:
                cluster.states[place][key] = value
        if self._offset is not None:
            cluster.offsets[place] = self._offset


@dataclass
class _Owned:
    cluster: Cluster
    place: tuple[str, int]

    def __post_init__(self) -> None:
        self.number = self.place[1]
        self.committed = self.cluster.offsets.get(self.place, 0)
        self.cluster.states.setdefault(self.place, {})

    def state(self) -> Mapping[str, bytes]:
        return dict(self.cluster.states[self.place])

    def transaction(self) -> _Transaction:
        return _Transaction(self)


class _Subscription:
    def __init__(self, cluster: Cluster, stage: str, log: str, listener: Listener, numbers: Sequence[int]) -> None:
        self._places = cluster.logs[log]
        self._positions: dict[int, int] = {}
        for number in (number for number in numbers if number < len(self._places)):
            owned = _Owned(cluster, (stage, number))
            self._positions[number] = owned.committed
            listener.assigned(owned)

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[tuple[int, Sequence[Entry]]]:
        found = []
        for number, first in self._positions.items():
            records = self._places[number][first : first + max_records]
            self._positions[number] += len(records)
            if records:
                entries = [Entry(at, one.value, one.key, one.kind) for at, one in enumerate(records, first)]
                found.append((number, entries))
        return found

    def close(self) -> None: ...


@dataclass
class _Engine:
    cluster: Cluster
    numbers: Sequence[int]
    known: dict[str, int] = field(default_factory=dict)
    problem: str = ""

    def partitions(self, log: str) -> int:
        return self.known.get(log, len(self.cluster.logs[log]))

    def append(self, log: str, records: Sequence[Record]) -> "Future[None]":
        for record in records:
            self.cluster.put(log, record)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def subscribe(self, stage: str, log: str, listener: Listener, from_start: bool = False) -> _Subscription:
        return _Subscription(self.cluster, stage, log, listener, self.numbers)

    def close(self) -> None: ...


class Worker:
    """The stages of a process that has some of the partitions of each log."""

    def __init__(
        self,
        cluster: Cluster,
        numbers: Sequence[int],
        known: dict[str, int] | None = None,
        scorers: Sequence[Any] = DEFAULT_SCORERS,
        sample: Mapping[str, Any] = MappingProxyType({}),
        **assemble: Any,
    ) -> None:
        document: dict[str, Any] = {
            "store": {"path": Path("unused.db")},
            "monitors": [{"watch": "refusal", "by": ["service"], "warmup": 50}] if "refusal" in scorers else [],
            "assemble": {"quiet": "1s", "lateness": "0s", "revision_window": "1h", **assemble},
            "alerts": {"log": False},
            "sample": dict(sample),
            "scorers": scorers,
        }
        config = Config.model_validate(document)
        self.engine = _Engine(cluster, numbers, known or {})
        self.telemetry, clock = Telemetry(), FakeClock()
        scorers, metrics = load_parts(config)
        route = ScoreRoute(config.monitors, partial(self.engine.partitions, SCORES))
        sampler, runner = Sampler(config.sample), Runner(scorers, self.telemetry, clock)
        outputs = Outputs(Redactor(), attribute_lists(config.redact), config.slices)
        evaluator = Evaluator(sampler, SliceReader(config.slices), runner, route, outputs, self.telemetry)
        assembler = partial(Assembler, config.assemble, self.telemetry)
        watcher = partial(Watcher, config.monitors, config.false_pages, metrics, self.telemetry)
        self.score = ScoreStage(self.engine, assembler, sampler, evaluator, clock, self.telemetry)
        gathered = partial(Sessions, config.assemble, self.telemetry)
        of_sessions = SessionEvaluator(sampler, runner, route, outputs, self.telemetry)
        self.sessions = SessionStage(self.engine, gathered, of_sessions, clock, self.telemetry)
        self.watch = WatchStage(self.engine, watcher, route, self.telemetry)

    def turn(self, stage: Stage, times: int = 1) -> None:
        """What the loop of a stage does."""
        if stage._subscription is None:
            stage._subscription = self.engine.subscribe(stage.name, stage._log, stage)
        for _ in range(times):
            stage._turn(stage._subscription.poll(0, 256))
            stage.rest()


def turn_all(workers: Sequence[Worker], stage: str = "score", times: int = 10) -> None:
    for _ in range(times):
        for worker in workers:
            worker.turn(getattr(worker, stage))
