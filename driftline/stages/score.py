"""Spans in, decisions and scores out: assembles traces and has them evaluated."""

from collections.abc import Callable, Sequence

from collector.assemble import Assembler
from collector.core.clock import Clock
from collector.core.engine import SPANS, Engine, Entry, Partition
from collector.core.errors import Rejected
from collector.core.telemetry import Telemetry
from collector.sample import Sampler
from driftline.evaluate import Evaluator
from driftline.pipeline import Stage
from driftline.stages.score_worker import Worker
from driftline.stages.ticks import TickSender

_EVALUATIONS_PER_COMMIT = 1000  # bounds what a crash makes us do again, and how far metrics lag behind a backlog


class ScoreStage(Stage):
    """One worker a partition; see `Worker`."""

    def __init__(
        self,
        engine: Engine,
        assembler: Callable[[], Assembler],
        sampler: Sampler,
        evaluator: Evaluator,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        super().__init__("score", engine, SPANS, telemetry)
        self._new_assembler, self._sampler, self._evaluator, self._clock = assembler, sampler, evaluator, clock
        self._workers: dict[int, Worker] = {}
        self._ticks = TickSender(engine, SPANS, self.say)
        self._max_bytes = 0
        self._sampled_out = telemetry.counter(
            "driftline_sampled_out_spans", "Spans left out because of their trace id alone.", ["rule"]
        )
        self._open_traces = telemetry.gauge("driftline_open_traces", "Traces that wait for their end.")
        self._held_bytes = telemetry.gauge(
            "driftline_held_bytes", "Memory of waiting and revisable spans.", unit="bytes"
        )
        self._behind = telemetry.gauge(
            "driftline_behind_seconds", "How long the spans that are worked on have waited for it.", unit="seconds"
        )
        self._unreadable = telemetry.counter(
            "driftline_unreadable_records", "Records of the inbox that could not be read, left out.", ["reason"]
        )

    def assigned(self, partition: Partition) -> None:
        worker = Worker(partition, self._new_assembler(), self._sampler, self._evaluator, self._engine.partitions)
        worker.ticks.touched(self._clock.monotonic())
        self._max_bytes = worker.assembler.max_bytes
        self._workers[partition.number] = worker
        self._share_memory()

    def revoked(self, partition: Partition) -> None:
        del self._workers[partition.number]
        self._share_memory()
        self._publish()

    def _share_memory(self) -> None:
        """All partitions of this process together have the memory of one."""
        for worker in self._workers.values():
            worker.assembler.max_bytes = self._max_bytes // len(self._workers)

    def process(self, partition: int, entries: Sequence[Entry]) -> None:
        worker = self._workers[partition]
        worker.behind_seconds = self._waited_seconds(worker, entries[0])
        for entry in entries:
            try:
                worker.take(entry)
            except Rejected as error:
                self._unreadable.add(1, error.reason)
            if len(worker.batch) >= _EVALUATIONS_PER_COMMIT:
                self._finish(worker)
        self._finish(worker)
        worker.behind_seconds = 0.0  # what becomes ready while nothing is read has not waited
        worker.ticks.touched(self._clock.monotonic())

    def _waited_seconds(self, worker: Worker, entry: Entry) -> float:
        if worker.recalling or not entry.at_ns:  # what is read once more is old, and nobody waits for it
            return 0.0
        waited = max(0.0, (self._clock.now_ns() - entry.at_ns) / 1e9)
        self._behind.set(waited)
        return waited

    def rest(self) -> None:
        """Where nothing comes in, event time goes on with the clock: by a record, so that it does in a replay too."""
        if self.idle.is_set():
            self._behind.set(0)
        self._ticks.look_after(self._clock.monotonic())
        for worker in self._workers.values():
            if worker.move_out():
                self._finish(worker)
            self._ticks.send(worker.ticks, self._clock.monotonic())

    def _finish(self, worker: Worker) -> None:
        done, sampled_out = worker.batch, worker.sampled_out
        self.commit(worker.transaction(self.append))
        self._evaluator.record(done)
        if sampled_out:
            self._sampled_out.add(sampled_out, "sample.rate")
        self._publish()

    def _publish(self) -> None:
        assemblers = [worker.assembler for worker in self._workers.values()]
        self._open_traces.set(sum(one.open_traces for one in assemblers))
        self._held_bytes.set(sum(one.held_bytes for one in assemblers))
