"""`driftline why` of sessions and their turns: recorded, waiting, gone on, and where a scorer cannot be had."""

from collections.abc import Sequence
from pathlib import Path

import orjson
from click.testing import CliRunner, Result

from collector.core.engine import SPANS, TURNS, Record
from collector.core.model import Trace
from collector.turns import encode_turn, told_by
from driftline.commands import why
from driftline.commands.why_sessions import moment
from tests.driftline.test_pipeline import END_NS, SECOND, feed
from tests.driftline.test_session_pipeline import END, SCORERS, conversations, decided, service, turn


def ask(folder: Path, *arguments: str, scorers: Sequence[str] = SCORERS) -> Result:
    path = folder / "config.yaml"
    assemble = {"session_idle": "10m", "lateness": "2s"}
    path.write_bytes(
        orjson.dumps({"store": {"path": str(folder / "replay.db")}, "scorers": scorers, "assemble": assemble})
    )
    return CliRunner().invoke(why.command, [*arguments, "-c", str(path)])


def asked_why(folder: Path, *arguments: str) -> str:
    shown = ask(folder, *arguments)
    assert shown.exit_code == 0, shown.output
    return shown.stdout


def at(seconds: float) -> str:
    """That long after the first turn began; each takes a second."""
    return moment(END_NS + round(seconds * SECOND))


def test_why_tells_of_a_session_that_waits_and_each_of_its_candidates_is_pending(tmp_path: Path) -> None:
    under = service(tmp_path)
    feed(under, conversations(2, 3))
    under.stop()
    told = asked_why(tmp_path, "--session", "s0")
    assert told.startswith("session s0 (service shop) waits for its end: 3 turns so far, the first began ")
    assert f"the last ended {at(121)}; it is decided on at {at(121 + 600 + 2)} if no more come: once it was" in told
    assert "idle for 600 s (assemble.session_idle), at the latest 86400 s after" in told
    assert [line.split()[2:] for line in told.splitlines() if "turn" in line and "trace" in line] == [
        ["trace", f"{number:032x}"] for number in (1, 3, 5)
    ]
    for name in ("session_turns", "repeated_questions"):
        assert f"  {name:20} pending: open\n" in told
        assert f"  {name:20} pending: open\n" in asked_why(tmp_path, f"{3:032x}")
        assert f"{name}: 2 candidates\n          2 100.0%  pending: open\n" in asked_why(tmp_path, "--summary")
    assert "error" not in told, "it looks at traces"
    of_a_turn = asked_why(tmp_path, f"{3:032x}", "--scorer", "session_turns")
    assert "  of session s0, which waits for its end: 3 turns so far" in of_a_turn
    assert "pending: open" in of_a_turn
    assert "there are: session_turns, repeated_questions" in asked_why(tmp_path, "--session", "s0", "--scorer", "error")
    as_json = orjson.loads(asked_why(tmp_path, f"{3:032x}", "--json"))
    assert [one["scorer"] for one in as_json["decisions"] if one["decision"] == "pending"] == SCORERS[:2]
    waits = as_json["session_pending"]
    assert waits["turns"] == [f"{number:032x}" for number in (1, 3, 5)]
    assert (waits["ended_ns"], waits["due_ns"]) == (END_NS + 121 * SECOND, END_NS + 723 * SECOND)
    assert waits["started_ns"] == END_NS


def test_turns_that_no_stage_has_read_yet_are_of_a_session_that_waits(tmp_path: Path) -> None:
    under = service(tmp_path)
    feed(under, conversations(1, 2))
    trace = Trace(f"{9:032x}", END_NS, END_NS + 200 * SECOND, session_id="s0", resource={"service.name": "shop"})
    later = told_by(trace, 0, 1.0, {})
    assert later is not None
    records = [Record(encode_turn(later), key=later.key), Record(b"no turn", key=later.key)]
    under.engine.append(TURNS, records).result()
    under.stop()
    assert f"  turn 2: trace {9:032x}\n" in asked_why(tmp_path, "--session", "s0")


def test_a_session_that_goes_on_after_it_was_scored_has_its_decisions_until_the_revision(tmp_path: Path) -> None:
    under = service(tmp_path)
    later = [turn(50 + number, "s1", END_NS + (700 + 60 * number) * SECOND) for number in range(2)]
    feed(under, [*conversations(1, 2), *later, turn(60, "s0", END_NS + 850 * SECOND)])
    feed(under, [turn(61, "s1", END_NS + 900 * SECOND)])
    under.stop()
    told = asked_why(tmp_path, "--session", "s0")
    assert "session s0 (service shop) was scored and went on since: 3 turns so far" in told
    assert "session_turns        scored 2" in told
    assert "pending" not in told
    assert "session_turns: 2 candidates" in asked_why(tmp_path, "--summary"), "one scored, one pending"
    of_a_turn = asked_why(tmp_path, f"{1:032x}")
    again = f"it is scored anew at {at(851 + 600 + 2)} if no more come: once it was idle for 600 s"
    assert "of session s0, which was scored and went on since: 3 turns so far" in of_a_turn
    assert again in of_a_turn
    assert "session_turns        scored 2" in of_a_turn.partition("\n  its session, recorded as ")[2]


def test_a_trace_tells_the_decisions_of_its_session(tmp_path: Path) -> None:
    under = service(tmp_path)
    feed(under, [*conversations(1, 2), END])
    (recorded,) = under.view.sessions("s0")
    under.stop()
    told = asked_why(tmp_path, f"{2:032x}")
    own, of_its_session = told.split(f"  its session, recorded as {recorded}:\n")
    assert "  error" in own
    assert "session_turns" not in own
    assert of_its_session.startswith("  session_turns        scored 2")
    assert "  repeated_questions   scored 0.5, did not pass" in of_its_session
    alone = asked_why(tmp_path, f"{2:032x}", "--scorer", "session_turns")
    assert "session_turns        scored 2" in alone
    assert "evaluator " in alone
    assert "error" not in alone
    assert "its session" not in asked_why(tmp_path, f"{2:032x}", "--scorer", "error")
    assert "what was decided on: error, repeated_questions, session_turns" in asked_why(
        tmp_path, f"{2:032x}", "--scorer", "nobody"
    )
    (as_json,) = orjson.loads(asked_why(tmp_path, f"{2:032x}", "--json"))["sessions"]
    assert as_json["trace_id"] == recorded
    assert decided(as_json) == {"session_turns": 2.0, "repeated_questions": 0.5}


def test_an_open_trace_says_that_scorers_of_sessions_come_later(tmp_path: Path) -> None:
    under = service(tmp_path)
    under.engine.append(SPANS, [turn(1, "s0", END_NS)]).result()
    under.stop()
    told = asked_why(tmp_path, f"{1:032x}")
    assert "  error                pending: open\n" in told
    for name in ("session_turns", "repeated_questions"):
        assert (
            f"  {name:20} looks at sessions: if the trace has one, it is a turn of it once it was evaluated\n" in told
        )
    alone = asked_why(tmp_path, f"{1:032x}", "--scorer", "session_turns")
    assert "looks at sessions" in alone
    assert "error" not in alone
    assert "no scorer has this name; there are: error, session_turns, repeated_questions" in asked_why(
        tmp_path, f"{1:032x}", "--scorer", "nobody"
    )
    assert orjson.loads(asked_why(tmp_path, f"{1:032x}", "--json"))["scorers_of_sessions"] == SCORERS[:2]


def test_a_scorer_that_cannot_be_had_takes_nothing_from_what_was_recorded(tmp_path: Path) -> None:
    under = service(tmp_path)
    feed(under, [*conversations(1, 2), END])
    under.engine.append(SPANS, [turn(7, "s1", END_NS)]).result()
    under.stop()
    (tmp_path / "broken.py").write_text("this is no Python\n")
    for broken in ("broken.py:mine", "missing.py:mine"):
        for arguments in ([f"{1:032x}"], [f"{7:032x}"], ["--session", "s0"], ["--summary"]):
            shown = ask(tmp_path, *arguments, scorers=[*SCORERS, broken])
            assert shown.exit_code == 0, shown.output
            (line,) = shown.stderr.splitlines()
            assert line.startswith("what is pending is not told by scorer: ")
            assert broken.partition(":")[0] in line
        assert "session_turns        scored 2" in ask(tmp_path, f"{1:032x}", scorers=[broken]).stdout


def test_of_an_unknown_trace_it_is_told_since_when_any_is_kept(tmp_path: Path) -> None:
    service(tmp_path).stop()
    nothing = ask(tmp_path, f"{99:032x}")
    assert nothing.exit_code == 1
    assert "older than 30 days (store.retention); nothing is kept yet" in nothing.stdout
    under = service(tmp_path)
    feed(under, [*conversations(1, 2), END])
    under.stop()
    assert f"the oldest that is kept ended {at(1)}" in ask(tmp_path, f"{99:032x}").stdout
    told = orjson.loads(ask(tmp_path, f"{99:032x}", "--json").stdout)
    assert (told["not_sampled"], told["kept_since_ns"]) == (False, END_NS + SECOND)
