"""Whatever happens, each candidate has one current decision, and the totals are the sum of them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.clock import FakeClock
from collector.core.engine import SPANS, TICK_KIND, TRACES_KIND, Record
from driftline.build import build
from driftline.config import Config
from driftline.service import Service
from driftline.stages.ticks import END_OF_INPUT
from scorers.rules.rule import RuleConfig

SECOND = 10**9
START_NS = 1_790_000_000 * SECOND
_SCORERS = '''
from collector.core.model import LLMCall, Trace
from scorers.base import Score, scorer


@scorer(name="moody", needs=("answer",))
def moody(trace: Trace) -> float | None:
    """Fails, is silent, or lies, as the answer has it."""
    if "fail" in trace.answer:
        raise ValueError(trace.answer)
    return {"nothing": None, "nan": float("nan"), "large": 7.0}.get(trace.answer, 0.5)


@scorer(name="costly", tier=2)
def costly(trace: Trace) -> float:
    """Is shed first."""
    return 1.0


@scorer(name="each_call", target="llm_call", needs=("answer",))
def each_call(call: LLMCall, trace: Trace) -> float:
    """One decision for each model call."""
    if call.output_text == "fail":
        raise ValueError
    return 1.0
'''
ANSWERS = ["fine", "fail", "nothing", "nan", "large", ""]
SCORERS = [
    *("refusal", "latency", "groundedness", {"use": "tokens", "rate": 0.3}, {"use": "error", "limit": "3 per hour"}),
    *("./mine.py:moody", {"use": "./mine.py:costly", "limit": "5 per hour"}, "./mine.py:each_call"),
]
NAMES = ["refusal", "latency", "groundedness", "tokens", "error", "moody", "costly", "each_call"]

_traces = st.integers(0, 11)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("call"), _traces, st.sampled_from(ANSWERS), st.booleans()),
        st.tuples(st.just("tick"), st.integers(1, 400)),
        st.tuples(st.just("work")),
        st.tuples(st.just("lag"), st.integers(1, 300)),
        st.tuples(st.just("restart")),
        st.tuples(st.just("twice")),
    ),
    max_size=25,
)


def configuration(folder: Path) -> Config:
    config = Config.model_validate(
        {
            "listen": {"otlp_http": None, "otlp_grpc": None, "web": None},
            "store": {"path": folder / "store.db"},
            "assemble": {"quiet": "5s", "max_age": "300s"},
            "scorers": SCORERS,
            "monitors": [],
            "alerts": {"log": False},
        }
    )
    config._base = folder
    return config


def call_of(number: int, at: int, answer: str, root: bool) -> Record:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="chat m")
    span.trace_id, span.span_id = bytes([number + 1]) * 16, (at + 1).to_bytes(8, "big")
    span.parent_span_id = b"" if root else b"\7" * 8
    span.start_time_unix_nano = START_NS + at * SECOND
    span.end_time_unix_nano = START_NS + (at + 1) * SECOND
    messages = {"gen_ai.input.messages": "user", "gen_ai.output.messages": "assistant"}
    for key, role in messages.items():
        text = "Why is it so?" if role == "user" else answer
        message = {"role": role, "parts": [{"type": "text", "content": text}], "finish_reason": "stop"}
        span.attributes.add(key=key).value.string_value = orjson.dumps([message]).decode()
    for key, value in {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}.items():
        span.attributes.add(key=key).value.string_value = value
    return Record(request.SerializeToString(), kind=TRACES_KIND)


class Run:
    """A service that is sent things, and that ends and begins again."""

    def __init__(self, folder: Path) -> None:
        (folder / "mine.py").write_text(_SCORERS)
        self.clock = FakeClock(START_NS)
        self.config = configuration(folder)
        self.service: Service = build(self.config, self.clock)
        self.traces: set[str] = set()
        self.calls: set[tuple[str, int]] = set()
        self.last: Record | None = None

    def do(self, at: int, action: Sequence[object]) -> None:
        match action:
            case ("call", int(number), str(answer), bool(root)):
                self.last = call_of(number, at, answer, root)
                self.traces.add((bytes([number + 1]) * 16).hex())
                self.append(self.last)
            case ("twice",) if self.last is not None:
                self.append(self.last)
            case ("tick", int(seconds)):
                self.clock.advance(seconds)
                self.append(Record(str(self.clock.now_ns()).encode(), kind=TICK_KIND))
            case ("lag", int(seconds)):
                self.clock.advance(seconds)
                self.service.drain()
            case ("work",):
                self.service.drain()
            case ("restart",):
                self.service.stop()
                self.service = build(self.config, self.clock)

    def append(self, record: Record) -> None:
        self.service.engine.append(SPANS, [record]).result()


@settings(max_examples=60, deadline=None)
@given(actions)
def test_candidates_are_the_sum_of_their_decisions(steps: list[tuple[object, ...]]) -> None:
    with TemporaryDirectory() as folder:
        run = Run(Path(folder))
        for at, action in enumerate(steps):
            run.do(at, action)
        run.append(Record(END_OF_INPUT, kind=TICK_KIND))
        run.service.drain()
        funnel = Counter({row[:3]: row[3] for row in run.service.view.funnel()})
        sheets = {one: run.service.view.sheet(one) for one in run.traces}
        run.service.stop()

    told: Counter[tuple[str, str, str]] = Counter()
    for trace_id, sheet in sheets.items():
        assert sheet is not None, f"{trace_id} was received and has no decision"
        places = [(one["scorer"], one.get("span_id")) for one in sheet["decisions"]]
        assert len(set(places)) == len(places), "no candidate has two decisions"
        whole = Counter(name for name, span_id in places if name != "each_call")
        assert whole == Counter({name: 1 for name in NAMES if name != "each_call"})
        assert sum(name == "each_call" for name, _ in places) == sheet["counts"]["llm_calls"]
        told.update((one["scorer"], one["decision"], one["reason"]) for one in sheet["decisions"])
    assert funnel == told, "the funnel is the sum of current decisions"
    for name in NAMES[:-1]:
        assert sum(count for (scorer, _, _), count in funnel.items() if scorer == name) == len(run.traces)


def test_the_actions_lead_to_every_decision() -> None:
    """Else the test above would prove less than it says."""
    steps: list[tuple[object, ...]] = [("call", number, ANSWERS[number % 6], True) for number in range(12)]
    steps += [("lag", 200), ("tick", 400), ("restart",), ("call", 3, "fine", False), ("tick", 30), ("lag", 100)]
    steps += [("tick", 400), ("work",), ("call", 0, "fine", False), ("tick", 400), ("work",)]
    with TemporaryDirectory() as folder:
        run = Run(Path(folder))
        for at, action in enumerate(steps):
            run.do(at, action)
        decisions = {(decision, reason) for _, decision, reason, _ in run.service.view.funnel()}
        run.service.stop()
    assert {one for one, _ in decisions} >= {"scored", "filtered", "not_sampled", "throttled", "failed", "shed"}
    failures = {reason for decision, reason in decisions if decision == "failed"}
    assert failures == {"exception", "not_finite", "out_of_range"}


def test_a_rule_is_a_scorer_like_any_other_to_the_funnel_and_to_why(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.service.stop()
    rules = [{"id": "no-failing", "must_not": [{"answer": {"contains": "fail"}}, {"score": {"moody": {"lt": 0.1}}}]}]
    config = run.config.model_copy(update={"rules": [RuleConfig.model_validate(one) for one in rules]})
    service = build(config, run.clock)
    for number, answer in enumerate(["fine", "fail", ""]):
        service.engine.append(SPANS, [call_of(number, number, answer, root=True)]).result()
    service.engine.append(SPANS, [Record(END_OF_INPUT, kind=TICK_KIND)]).result()
    service.drain()
    found = {row[1:] for row in service.view.funnel() if row[0] == "no-failing"}
    sheet = service.view.sheet("02" * 16)
    service.stop()
    assert found == {("scored", "ok", 2), ("filtered", "nothing to score", 1)}
    assert sheet is not None
    (told,) = [one for one in sheet["decisions"] if one["scorer"] == "no-failing"]
    assert told["score"]["explanation"] == "must_not[0]: answer contains 'fail'"
