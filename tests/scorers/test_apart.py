"""Scorers of users in a process of their own: the same outcomes, and whatever one does there stays there."""

import logging
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.model import LLMCall, Message, Session, ToolCall, Trace, Turn
from collector.core.telemetry import Telemetry
from collector.sample import Admission
from scorers.apart import Apart, outcome_of
from scorers.apart_wire import score_of, told
from scorers.base import Evidence, Score, Scorer
from scorers.ledger import Decision
from scorers.loading import ScorerConfig, load_scorers
from scorers.outcome import scores_of
from scorers.runner import Runner

ALL = Admission(unit=0.5, rate=1.0, upstream=1.0, rule="sample.rate")
TRACES = [
    Trace(
        f"{number:032x}",
        question="What?",
        answer=f"It is {number}. \ud800",
        contexts=["It is 3."],
        llm_calls=[
            LLMCall(f"{number:016x}", input_messages=[Message("user", "What?")], output_text=f"It is {number}.")
        ],
        tool_executions=[
            ToolCall(f"{number + 100:016x}", name="search", arguments={"q": [1, {"a": None}]}, result="x")
        ],
    )
    for number in range(1, 8)
]

FINE = """
import asyncio
from scorers.base import Evidence, Filtered, Score, scorer

@scorer(name="number")
def number(trace, *, least: float = 0.25):
    return least + int(trace.trace_id, 16) / 100

@scorer(name="verdict", better="lower")
def verdict(trace):
    return int(trace.trace_id, 16) % 2 == 0

@scorer(name="label", passing="in odd")
def label(trace):
    return ("even", "odd")[int(trace.trace_id, 16) % 2]

@scorer(name="whole", needs=("answer",), passing=">= 0.5")
def whole(trace):
    return Score(0.5, label="\\ud800l", explanation="because", evidence=[Evidence(0, 2, "word", "It")])

@scorer(name="vector", embeds=True, values=False)
def vector(trace):
    return Score(None, vector=[0.5, -1.0], terms=["a", "b"])

@scorer(name="several")
def several(trace):
    return [Score(0.5, span_id=call.span_id) for call in trace.llm_calls]

@scorer(name="nothing")
def nothing(trace):
    return None

@scorer(name="filters")
def filters(trace):
    return Filtered.RULE_DOES_NOT_APPLY

@scorer(name="absent", needs=("reference",))
def absent(trace):
    return 1.0

@scorer(name="each_call", target="llm_call", needs=("answer",))
def each_call(call, trace):
    return 1.0 if call in trace.llm_calls and call is trace.llm_calls[0] else 0.0

@scorer(name="batched", batch=3)
def batched(traces):
    if len(traces) > 1 and traces[0].trace_id.endswith("1"):
        raise ValueError("only alone")
    return [len(traces) / 10 for _ in traces]

@scorer(name="lookup")
async def lookup(trace):
    await asyncio.sleep(0)
    return int(trace.trace_id, 16) / 10

tries = {}

@scorer(name="patient", retry_on=(ConnectionError,))
def patient(trace):
    tries[trace.trace_id] = tries.get(trace.trace_id, 0) + 1
    if tries[trace.trace_id] < 2:
        raise ConnectionError
    return 1.0

@scorer(name="later", after=("number",))
def later(trace, scores):
    return scores["number"].value / 2

@scorer(name="raises")
def raises(trace):
    raise KeyError("what the person said")

@scorer(name="wrong")
def wrong(trace):
    return [float("nan"), 7.0, "x" * 200, object(), 10**400][int(trace.trace_id, 16) % 5]

@scorer(name="turns", target="session")
def turns(session):
    return len(session.turns) / 10
"""

HOSTILE = """
import ctypes, logging, os, re, signal, subprocess, threading, time
from pathlib import Path
from scorers.base import scorer

@scorer(name="exits")
def exits(trace):
    os._exit(7)

@scorer(name="kills")
def kills(trace):
    os.kill(os.getpid(), signal.SIGKILL)

@scorer(name="crashes")
def crashes(trace):
    ctypes.string_at(0)

@scorer(name="closes")
def closes(trace):
    os.closerange(0, 256)
    return 1.0

@scorer(name="babbles")
def babbles(trace):
    for number in range(3, 256):
        try:
            os.write(number, b"\\xff" * 100)
        except OSError:
            pass
    return 1.0

def tell():
    if "BUSY" in os.environ:  # a pipe, whose other end waits to hear that this was called
        open(os.environ["BUSY"], "w").close()

@scorer(name="backtracks")
def backtracks(trace):
    tell()
    re.match(r"(a+)+$", "a" * 64 + "b")

@scorer(name="loops")
def loops(trace):
    tell()
    while True:
        pass

@scorer(name="changes")
def changes(trace):
    trace.llm_calls[0].output_text = trace.answer = "pwned"
    os.environ["CHANGED"] = "1"
    return 1.0

@scorer(name="sees")
def sees(trace):
    return float("pwned" in f"{trace.answer}{trace.llm_calls[0].output_text}")

@scorer(name="starts")
def starts(trace):
    child = subprocess.Popen(["sleep", "1000"])
    Path(os.environ["CHILD"]).write_text(str(child.pid))
    return 1.0

@scorer(name="logs")
def logs(trace):
    logging.getLogger("own").warning("seen %s", trace.answer)
    logging.getLogger("own").debug("not asked for")
    return 1.0

@scorer(name="good")
def good(trace):
    return 0.5
"""


class Made:
    """A runner whose scorers are of a file, with the process that they run in."""

    def __init__(self, file: Path, *entries: str | dict[str, Any], apart: bool = True) -> None:
        wanted = [{"use": one} if isinstance(one, str) else one for one in entries]
        configs = [
            ScorerConfig.model_validate({"timeout": "200ms", **one, "use": f"./{file.name}:{one['use']}"})
            for one in wanted
        ]
        self.telemetry = Telemetry()
        self.scorers = load_scorers(configs, file.parent)
        paired = list(zip(self.scorers, configs, strict=True))
        self.apart = Apart(paired, file.parent, self.telemetry, grace_seconds=0.5)
        self.runner = Runner(self.scorers, self.telemetry, apart=self.apart if apart else None)

    def decide(self, traces: list[Trace] = TRACES) -> list[list[Decision]]:
        return self.runner.evaluate_all([(trace, ALL, ()) for trace in traces])

    def told(self, name: str, traces: list[Trace] = TRACES) -> list[tuple[str, str]]:
        """Decision and reason for each trace."""
        return [(one.decision, one.reason) for some in self.decide(traces) for one in some if one.scorer == name]

    def pid(self) -> int:
        assert self.apart._process is not None
        return self.apart._process.pid

    def ends(self) -> dict[tuple[str, ...], float]:
        return self.telemetry.counter("driftline_scorer_process_ends", "", ("scorer",)).values()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "own_scorers.py"


@pytest.fixture
def made(file: Path) -> Iterator[Any]:
    """Makes runners, and closes them."""
    all_of_them: list[Made] = []

    def make(text: str, *entries: str | dict[str, Any], apart: bool = True) -> Made:
        file.write_text(text)
        all_of_them.append(Made(file, *entries, apart=apart))
        return all_of_them[-1]

    yield make
    for one in all_of_them:
        one.runner.close()
        one.apart.close()


EVERY = [
    *(
        "number",
        "verdict",
        "label",
        "whole",
        "vector",
        "several",
        "nothing",
        "filters",
        "absent",
        "each_call",
        "batched",
    ),
    *("lookup", "patient", "later", "raises", "wrong"),
    {"use": "number", "name": "more", "options": {"least": 0.5}, "passing": ">= 0.52", "rate": 0.9},
    {"use": "lookup", "name": "side_by_side", "concurrency": 3},
]


def test_apart_or_not_the_decisions_are_the_same(made: Any) -> None:
    here, apart = made(FINE, *EVERY, apart=False), made(FINE, *EVERY)
    expected = here.decide()
    assert apart.decide() == expected
    assert {one.decision for some in expected for one in some} == {"scored", "filtered", "failed"}
    for one in (here, apart):
        retries = one.telemetry.counter("driftline_scorer_retries", "", ("scorer",)).values()
        assert retries == {("patient",): len(TRACES)}
    assert apart.pid() != os.getpid()
    assert apart.ends() == {}


def test_a_session_is_scored_apart_too(made: Any) -> None:
    one = made(FINE, "turns")
    session = Session("s", turns=[Turn(f"{at:032x}", at, at + 1, "What?", "This.") for at in range(4)])
    (decision,) = one.runner.evaluate_session((session, ALL, ()))
    assert decision.score is not None
    assert decision.score.value == 0.4


def test_calibration_is_applied_once(made: Any, file: Path) -> None:
    file.write_text(FINE)
    (plain,) = load_scorers([ScorerConfig(use=f"./{file.name}:number")], file.parent)
    (file.parent / "calibration.json").write_text(
        f'{{"scorer": "number", "code_id": "{plain.code_id}", "better": "higher", "slope": -2.0, "intercept": 0.5, '
        '"passing": ">= 0.6", "rows": 40, "flagged_rows": 20}'
    )
    entry = {"use": "number", "calibration": "calibration.json"}
    here, apart = made(FINE, entry, apart=False), made(FINE, entry)
    assert apart.decide() == here.decide()


@pytest.mark.parametrize(
    ("name", "failure", "detail"),
    [
        ("exits", "exception", "ended its process (exit code 7)"),
        ("kills", "exception", "ended its process (signal 9)"),
        ("crashes", "exception", "ended its process (signal 11)"),
        ("closes", "exception", "ended its process (exit code 0)"),
        ("babbles", "exception", "its process was ended: ValueError"),
        ("backtracks", "timeout", "no answer: its process was ended"),
    ],
)
def test_who_ends_the_process_fails_alone_and_the_third_time_for_good(
    made: Any, name: str, failure: str, detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = made(HOSTILE, "good", name, {"use": "good", "name": "after"})
    with caplog.at_level(logging.WARNING):
        decided = one.decide()
    for other in ("good", "after"):
        assert [(each.decision, each.score.value) for some in decided for each in some if each.scorer == other] == [
            ("scored", 0.5)
        ] * len(TRACES)
    reasons = [each.reason for some in decided for each in some if each.scorer == name]
    assert reasons == [failure] * 3 + ["hung"] * (len(TRACES) - 3)
    assert next(each.detail for some in decided for each in some if each.scorer == name) == detail
    assert one.ends() == {(name,): 3}
    assert one.runner._executions[name].suspended
    assert not one.runner._executions["good"].suspended
    assert [record.message for record in caplog.records] == [f"scorer {name}: {detail}"] * 3 + [
        f"scorer {name}: suspended until the next start or reload"
    ]


def test_what_crashes_now_and_then_is_not_suspended(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = made(HOSTILE, "exits")
    monkeypatch.setattr("scorers.apart._REMEMBERED_SECONDS", 0.0)
    assert one.told("exits") == [("failed", "exception")] * len(TRACES)
    assert one.ends() == {("exits",): len(TRACES)}


def test_what_loops_is_suspended_and_goes_with_its_process(made: Any) -> None:
    one = made(HOSTILE, "good", "loops", {"use": "good", "name": "after"})
    one.decide(TRACES[:1])
    first = one.pid()
    assert one.told("loops") == [("failed", "timeout")] * 2 + [("failed", "hung")] * (len(TRACES) - 2)
    assert one.told("after") == [("scored", "ok")] * len(TRACES)
    assert one.pid() != first
    assert one.ends() == {}, "its thread was abandoned; the process answered"


def test_nothing_that_a_scorer_changes_is_seen_by_another_or_by_the_service(made: Any) -> None:
    one = made(HOSTILE, "changes", "sees")
    assert all(some[1].score is not None and some[1].score.value == 0 for some in one.decide())
    assert TRACES[0].llm_calls[0].output_text == "It is 1."
    assert "CHANGED" not in os.environ


def test_what_a_scorer_logs_the_service_logs(made: Any, caplog: pytest.LogCaptureFixture) -> None:
    one = made(HOSTILE, "logs")
    with caplog.at_level(logging.INFO):
        assert one.told("logs", TRACES[:2]) == [("scored", "ok")] * 2
    assert [(record.name, record.levelno, record.message) for record in caplog.records] == [
        ("own", logging.WARNING, "seen It is 1. ?"),
        ("own", logging.WARNING, "seen It is 2. ?"),
    ]


def test_code_that_changed_since_the_service_began_is_not_run_as_if_it_were_the_same(
    made: Any, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = made(HOSTILE, "good")
    file.write_text(HOSTILE.replace("return 0.5", "return 0.6"))
    (decision,) = one.decide(TRACES[:1])[0]
    assert [record.message.partition(": its")[0] for record in caplog.records] == ["scorer good: not loaded"]
    assert (decision.decision, decision.reason) == ("failed", "exception")
    assert "`driftline reload` takes it as it is now" in decision.detail
    file.write_text(HOSTILE)
    one.apart.close()
    assert one.told("good") == [("scored", "ok")] * len(TRACES)


def test_a_process_that_does_not_start_is_nobodys_fault_and_is_tried_again_later(
    made: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = made(HOSTILE, "good", {"use": "good", "name": "other"})
    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(sys, "executable", "/nowhere/python")
        for _ in range(5):
            assert one.told("good", TRACES[:2]) == [("failed", "exception")] * 2
    assert len(caplog.records) == 1
    assert "did not start: FileNotFoundError" in caplog.text
    one.apart._start_again_at = 0.0
    assert one.told("good") == [("scored", "ok")] * len(TRACES)


def test_json_that_is_nested_too_deep_to_be_handed_over_fails_alone(made: Any) -> None:
    deep: Any = "x"
    for _ in range(1_000):
        deep = [deep]
    odd = Trace("9" * 32, llm_calls=TRACES[0].llm_calls, tool_executions=[ToolCall("1" * 16, arguments={"q": deep})])
    one = made(HOSTILE, "good")
    told = one.told("good", [TRACES[0], odd, TRACES[1]])
    assert told == [("scored", "ok"), ("failed", "exception"), ("scored", "ok")]


def test_what_a_scorer_started_ends_with_the_process(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHILD", str(tmp_path / "pid"))
    one = made(HOSTILE, "starts")
    one.decide(TRACES[:1])
    assert _is_alive(int((tmp_path / "pid").read_text()))
    one.runner.close()
    assert not _is_alive(int((tmp_path / "pid").read_text()))


SERVICE = """
import sys
from pathlib import Path
from tests.scorers.test_apart import Made
one = Made(Path(sys.argv[1]), "good", {"use": sys.argv[2], "timeout": "1h"})
one.apart._started()
print(one.pid(), flush=True)
one.decide()
"""


@pytest.mark.parametrize("name", ["loops", "backtracks"])
def test_the_process_ends_with_a_service_that_is_killed(file: Path, name: str) -> None:
    file.write_text(HOSTILE)
    busy = file.with_name("busy")
    os.mkfifo(busy)
    command = [sys.executable, "-c", SERVICE, str(file), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "BUSY": str(busy)}) as service:
        assert service.stdout is not None
        process = os.pidfd_open(int(service.stdout.readline()))
        busy.read_text()
        service.kill()
        service.wait()
    ended, _, _ = select.select([process], [], [], 10)
    os.close(process)
    assert ended


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- what comes back is believed as little as what a scorer returns ---

FIELDS = [*told(Score(0.0)), "verdict", "scores", "seconds"]
PLAIN = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5)
LISTS = st.lists(PLAIN, max_size=4)
JSON = PLAIN | LISTS | st.dictionaries(st.sampled_from(FIELDS), PLAIN | LISTS, max_size=9)
NEARLY = st.fixed_dictionaries(
    {
        "verdict": st.tuples(
            st.sampled_from(["scored", "filtered", "failed", 3]), st.sampled_from(["ok", "hung"]), JSON
        ),
        "scores": st.lists(st.fixed_dictionaries(dict.fromkeys(told(Score(0.0)), JSON)), max_size=3),
        "seconds": st.floats(0, 1),
    }
)


@given(JSON | NEARLY)
def test_whatever_the_process_says_is_an_outcome_or_refused(said: Any) -> None:
    one = Scorer("any", lambda trace: None)
    try:
        ran = outcome_of(one, said)
    except ValueError:
        return
    assert ran.verdict[0] in {"scored", "filtered", "failed"}
    assert all(score.value is None or 0 <= score.value <= 1 for score in ran.scores)


@given(
    st.floats(0, 1),
    st.none() | st.booleans(),
    st.none() | st.text(max_size=20),
    st.lists(st.tuples(st.integers(0, 5), st.integers(5, 9)), max_size=3),
)
def test_a_score_comes_back_as_it_was(value: float, passed: bool | None, label: str | None, spans: list[Any]) -> None:
    given_score = Score(value, passed, label, evidence=[Evidence(start, end, "word") for start, end in spans])
    (checked,) = scores_of(Scorer("any", lambda trace: None), given_score)
    assert score_of(orjson.loads(orjson.dumps(told(checked)))) == checked
