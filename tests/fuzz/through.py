"""A request on its whole way through: received, split, assembled, understood, scored, written down; and the counts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from collector.answers import Answers
from collector.assemble import Assembler
from collector.assemble_config import AssembleConfig
from collector.core.clock import FakeClock
from collector.core.engine import TRACES_KIND
from collector.core.telemetry import Telemetry
from collector.receivers.accept import Acceptor, Encoding, Prepared
from collector.redaction.config import RedactConfig, attribute_lists
from collector.redaction.redactor import Redactor
from collector.sample import SampleConfig, Sampler
from collector.slices import DEFAULT_SLICES, SliceReader
from collector.waiting import Ready
from collector.wire.split import split_logs, split_traces
from driftline.config import DEFAULT_SCORERS
from driftline.evaluate import Evaluator
from driftline.outputs import Outputs
from driftline.records import Sheet, read_sheet
from driftline.score_route import ScoreRoute
from scorers.loading import ScorerConfig, load_scorers
from scorers.runner import Runner

_SCORERS = load_scorers([ScorerConfig(use=name) for name in DEFAULT_SCORERS])


@dataclass
class Outcome:
    """What came of some requests: sheets in order, and how often each thing was counted."""

    sheets: list[Sheet] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class Path:
    """The parts of a service that a request goes through, without a store between them."""

    def __init__(self, max_body_bytes: int = 16 * 2**20, **assemble: object) -> None:
        self._telemetry = telemetry = Telemetry()
        self.acceptor = Acceptor("fuzz", telemetry, max_body_bytes)
        self._assembler = Assembler(AssembleConfig.model_validate(assemble), telemetry)
        runner = Runner(_SCORERS, telemetry, FakeClock())
        route = ScoreRoute([], lambda: 1)
        outputs = Outputs(Redactor(b"a key for tests"), attribute_lists(RedactConfig()), DEFAULT_SLICES)
        sampler, slices = Sampler(SampleConfig()), SliceReader(DEFAULT_SLICES)
        self._evaluator = Evaluator(sampler, slices, runner, route, outputs, telemetry)
        self._allowances, self._answers = self._evaluator.allowances(), Answers(3600 * 10**9)
        self.taken = 0
        self._sheets: list[Sheet] = []

    def receive(self, kind: str, body: bytes, encoding: Encoding = "protobuf") -> Prepared:
        """Raises Rejected, and nothing else."""
        prepared = self.acceptor.prepare(kind, body, encoding)
        self.acceptor.stored(prepared)
        if not prepared.is_empty:
            if kind == TRACES_KIND:
                slices = split_traces(prepared.body).slices
                self._assembler.add_spans(self.taken, slices)
                assert len(slices) == prepared.accepted
            else:
                records = split_logs(prepared.body).slices
                self._assembler.add_events(self.taken, records)
                assert len(records) == prepared.accepted
            self.taken += 1
            self._evaluate(list(self._assembler.ready()))
        return prepared

    @property
    def held_bytes(self) -> int:
        return self._assembler.held_bytes

    def finish(self) -> Outcome:
        self._evaluate(list(self._assembler.finish()))
        return Outcome(self._sheets, self._counts())

    def _evaluate(self, ready: Sequence[Ready]) -> None:
        batch = self._evaluator.batch()
        decisions = self._evaluator.evaluate([(item, ()) for item in ready], batch, self._allowances, self._answers)
        self._evaluator.record(batch)
        assert len(decisions) == len(batch.sheets) == len(ready)
        self._sheets += [read_sheet(record.value) for record in batch.sheets]

    def _counts(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for name in ("excess_spans", "normalise_failures", "truncated_traces"):
            found[name] = round(sum(self._telemetry.counter(f"driftline_{name}", "").values().values()))
        for name, label in (("duplicate_spans", "outcome"), ("late_spans", "outcome"), ("undecodable_spans", "reason")):
            for labels, count in self._telemetry.counter(f"driftline_{name}", "", [label]).values().items():
                found[":".join((name, *labels))] = round(count)
                found[name] += round(count)
        return found


SCORER_NAMES = frozenset(one.name for one in _SCORERS)
