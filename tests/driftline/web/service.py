"""A service as the page sees it: a real view, filled through its own doors, and what else a Source tells."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from alerts.history import Delivery
from collector.core.engine import Entry
from collector.core.model import LLMCall, Trace
from collector.core.telemetry import Telemetry
from collector.sample import Admission
from drift.base import Carrier, Change, Coincidence, Estimate, encode_change
from drift.gate import Comparison
from driftline.gate import Answer, Question
from driftline.gate_metric import Wanted
from driftline.records import sheet
from driftline.rollouts import Rollout
from driftline.view import View
from driftline.web.source import ScorerFacts
from scorers.base import Evidence, Score
from scorers.ledger import Decision

NOW_NS = 1_763_950_000_000_000_000
MINUTE_NS = 60_000_000_000
SCORERS = (
    ScorerFacts(
        "groundedness", "Share of the answer's sentences that the contexts support.", ">= 0.7", "higher", "ratio"
    ),
    ScorerFacts("refusal", "Whether the answer declines to help.", "== 0", "lower", "ratio"),
    ScorerFacts("tool_call_validity", "Whether tool calls fit the declared schema.", "== 1", "higher", "ratio"),
    ScorerFacts("pii", "Personal data in the answer.", "== 0", "lower", "ratio"),
    ScorerFacts("latency", "From the first span's start to the last one's end.", "<= 10", "lower", "seconds"),
    ScorerFacts("tokens", "Tokens in and out, all calls together.", "", "lower", "tokens"),
)


@dataclass
class Series:
    """The fields of drift's status of a series that the page shows."""

    monitor: str
    metric: str
    slice: dict[str, str]
    level: Estimate
    statistic: str = "mean"
    status: str = "watching"
    points: int = 900
    detector: str = "mean"
    evidence: float = 3.0
    threshold: float = 12.0
    change_id: str | None = None


@dataclass
class Service:
    """Everything may be replaced by a test."""

    view: View
    telemetry: Telemetry = field(default_factory=Telemetry)
    addresses: dict[str, str] = field(
        default_factory=lambda: {
            "otlp_http": "http://127.0.0.1:4318",
            "otlp_grpc": "127.0.0.1:4317",
            "web": "http://127.0.0.1:8321",
        }
    )
    scorers: Sequence[ScorerFacts] = SCORERS
    monitors: Sequence[str] = (
        "groundedness by service, version: pages if the mean falls by 0.03 or more",
        "refusal by service, version: pages if the mean rises by 0.03 or more",
    )
    problems: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(
        default_factory=lambda: {"traces_received": 0, "traces_scored": 0, "scores": 0, "changes": 0}
    )
    watched: list[Series] = field(default_factory=list)
    compared: list[Rollout] = field(default_factory=list)
    told: dict[str, list[Delivery]] = field(default_factory=dict)

    def health(self) -> list[str]:
        return list(self.problems)

    def readiness(self) -> list[str]:
        return list(self.waiting)

    def counts(self) -> dict[str, int]:
        return dict(self.numbers)

    def rollouts(self) -> Sequence[Rollout]:
        return list(self.compared)

    def series(self) -> Sequence[Series]:
        return list(self.watched)

    def deliveries(self, change_id: str) -> Sequence[Delivery]:
        return list(self.told.get(change_id, ()))


def service(folder: Path) -> Service:
    """One that has seen nothing yet."""
    return Service(View(folder / "view.db"))


def add_traces(to: View, values: Sequence[bytes], offset: int = 0) -> None:
    to.add_sheets(0, [Entry(offset + place, value, b"", "json") for place, value in enumerate(values)])


def add_changes(to: View, *changes: Change, offset: int = 0) -> None:
    to.add_changes(0, [Entry(offset + place, encode_change(one), b"", "json") for place, one in enumerate(changes)])


def trace_id(number: int) -> str:
    return random.Random(number).randbytes(16).hex()


def record(number: int, decisions: Sequence[Decision], *, age_ns: int = 0, revision: int = 0, **facts: object) -> bytes:
    """The sheet of a trace that ended `age_ns` ago; `facts` replace the trace's own."""
    end_ns = NOW_NS - age_ns
    version = str(facts.pop("version", "2.3"))
    trace = Trace(trace_id(number), end_ns - (1 + number % 5) * 700_000_000, end_ns, name="answer question")
    trace.dialects, trace.span_count = ["otel-genai"], 5
    trace.llm_calls = [LLMCall(span_id="00f067aa0ba902b7")] if "llm_calls" not in facts else []
    for name, value in facts.items():
        setattr(trace, name, value)
    slices = {"service": "shop-assistant", "version": version, "model": "gpt-5-mini"}
    return sheet(trace, revision, end_ns, slices, Admission(0.25, 1.0, 1.0, "sample.rate"), decisions)


def scored(scorer: str, value: float | None, passed: bool | None = True, **more: object) -> Decision:
    score = Score(value, passed, **more)  # type: ignore[arg-type]
    return Decision(scorer, "a1b2c3d4e5f60718", "scored", "ok", 1.0, "scorers[0]", score)


def not_scored(scorer: str, decision: str, reason: str, **more: object) -> Decision:
    return Decision(scorer, "a1b2c3d4e5f60718", decision, reason, 1.0, "scorers[0]", **more)  # type: ignore[arg-type]


def change(change_id: str = "c0ffee00c0ffee00c0ff", **facts: object) -> Change:
    """Groundedness fell an hour ago."""
    usual = Change(
        id=change_id,
        status="active",
        monitor="groundedness",
        metric="groundedness",
        statistic="pass_rate",
        slice={"service": "shop-assistant"},
        direction="down",
        detector="mean",
        evidence=41.2,
        threshold=12.4,
        detected_ns=NOW_NS - 52 * MINUTE_NS,
        onset_ns=NOW_NS - 61 * MINUTE_NS,
        onset_low_ns=NOW_NS - 64 * MINUTE_NS,
        onset_high_ns=NOW_NS - 60 * MINUTE_NS,
        before=Estimate(0.914, 0.902, 0.925, 2210),
        after=Estimate(0.782, 0.751, 0.811, 480),
        size=Estimate(-0.132, -0.163, -0.101, 480),
        carriers=[
            Carrier("version", "2.4", 0.91, None, 0.741, True, 0.05, 0.86, 0.52),
            Carrier("model", "gpt-5-mini", 0.07, 0.913, 0.803, False, 0.01, 0.06, 0.71),
        ],
        traces=[trace_id(number) for number in range(6)],
        contrast_traces=[trace_id(number) for number in range(200, 203)],
        moved="application",
        coincidences=[
            Coincidence("version", "2.4", "new", 0.0, 0.52, NOW_NS - 62 * MINUTE_NS),
            Coincidence("tool_schema", "search 1f0c33ab", "gone", 0.31, 0.0, NOW_NS - 63 * MINUTE_NS),
            Coincidence("answering_model", "gpt-5-mini", "more", 0.6, 0.71, None),
        ],
        typical_traces=[trace_id(number) for number in range(6, 9)],
    )
    return replace(usual, **facts)  # type: ignore[arg-type]


def rollout(service: str = "shop-assistant", version: str = "2.4", pairs: int = 400) -> Rollout:
    """A version that fails by one scorer, passes by another, in grades, and is not told apart by a third yet."""
    dice = random.Random(9)
    wanted = [Wanted("groundedness", 0.03), Wanted("grade", 0.2, statistic="mean", low=1, high=5)]
    wanted.append(Wanted("latency", 0.02, "<=", 2.5, "share"))
    told = {}
    for one, level in zip(wanted, (0.6, 0.8, 0.9), strict=True):
        comparison = Comparison(one.unit_margin, 0.05, 0.05 / len(wanted))
        for _ in range(pairs):
            if one.statistic == "mean":
                comparison.add(dice.betavariate(4, 1), dice.betavariate(4, 1.2))
            else:
                comparison.add(float(dice.random() < 0.9), float(dice.random() < level))
        told[one.scorer] = comparison.told
    question = Question("version", "2.3", version, wanted)
    return Rollout(service, NOW_NS - 62 * MINUTE_NS, Answer(question, told, (1210, pairs)))


def busy(folder: Path) -> Service:
    """One in the middle of an incident."""
    made = service(folder)
    dice = random.Random(7)
    add_traces(made.view, [_usual_trace(number, dice) for number in range(300)])
    add_changes(
        made.view,
        change(),
        change(
            "beef0000beef0000beef",
            metric="refusal",
            monitor="refusal",
            statistic="mean",
            direction="up",
            slice={"service": "shop-assistant", "version": "2.4"},
            before=Estimate(0.021, 0.015, 0.028, 2210),
            after=Estimate(0.118, 0.094, 0.146, 480),
            size=Estimate(0.097, 0.072, 0.125, 480),
            paged=False,
            related="c0ffee00c0ffee00c0ff",
        ),
        change(
            "feed0000feed0000feed",
            status="resolved",
            reason="recovered",
            detected_ns=NOW_NS - 3000 * MINUTE_NS,
            resolved_ns=NOW_NS - 2800 * MINUTE_NS,
            slice={"service": "search"},
        ),
    )
    made.numbers = {"traces_received": 48_211, "traces_scored": 47_980, "scores": 251_337, "changes": 3}
    made.compared = [rollout()]
    made.watched = [
        Series(
            "groundedness",
            "groundedness",
            {"service": "shop-assistant"},
            Estimate(0.782, 0.751, 0.811, 480),
            "pass_rate",
            "changed",
            2690,
            "mean",
            41.2,
            12.4,
            "c0ffee00c0ffee00c0ff",
        ),
        Series(
            "groundedness",
            "groundedness",
            {"service": "shop-assistant", "version": "2.3"},
            Estimate(0.912, 0.898, 0.925, 1930),
            "pass_rate",
            "watching",
            1930,
            "mean",
            1.7,
            14.1,
        ),
        Series(
            "groundedness",
            "groundedness",
            {"service": "shop-assistant", "version": "2.4"},
            Estimate(0.741, 0.69, 0.786, 212),
            "pass_rate",
            "warming",
            212,
            "mean",
            0.0,
            1.0,
        ),
        Series(
            "refusal",
            "refusal",
            {"service": "shop-assistant"},
            Estimate(0.064, 0.049, 0.081, 820),
            "mean",
            "watching",
            2690,
            "mean",
            7.9,
            12.4,
        ),
        Series("latency", "latency", {}, Estimate(0.968, 0.961, 0.974, 2600), "pass_rate", points=2690, evidence=0.4),
        Series(
            "tool_call_validity", "tool_call_validity", {"service": "search"}, Estimate(0.0, 0.0, 1.0, 0), points=318
        ),
    ]
    return made


def _usual_trace(number: int, dice: random.Random) -> bytes:
    grounded = round(dice.betavariate(8, 2 if number > 60 else 4), 3)
    unsupported = Evidence(31, 94, "unsupported", "Refunds are paid within two hours of the request being made.")
    words = "2 of 5 sentences have no support in the contexts."
    decisions = [
        scored("groundedness", grounded, grounded >= 0.7, explanation=words, evidence=[unsupported])
        if grounded < 0.7
        else scored("groundedness", grounded),
        scored("refusal", float(number % 17 == 0), number % 17 != 0, label="refused" if number % 17 == 0 else "helped"),
        not_scored("tool_call_validity", "filtered", "needs:tool_calls")
        if number % 3 else scored("tool_call_validity", 1.0),
        not_scored("pii", "failed", "timeout", detail="TimeoutError in pii.py:88")
        if number % 40 == 5 else not_scored("pii", "not_sampled", "rate")
        if number % 2 else scored("pii", 0.0),
        scored("latency", 0.7 * (1 + number % 5)),
        scored("tokens", 812.0 + 9 * number, None),
    ]  # fmt: skip
    return record(
        number,
        decisions,
        age_ns=number * 13_000_000_000,
        error=number % 45 == 0,
        version="2.4" if number < 150 else "2.3",
    )
