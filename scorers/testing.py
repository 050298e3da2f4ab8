"""What every scorer must stand, as a check that a scorer's author runs in one line.

from scorers.testing import check_scorer
def test_politeness(): check_scorer(politeness)
"""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import orjson

from collector.core.model import (
    Document,
    LLMCall,
    Message,
    Operation,
    RequestedCall,
    Retrieval,
    Session,
    ToolCall,
    ToolUse,
    Trace,
    Turn,
)
from scorers.base import Evidence, Score, Scorer
from scorers.isolation import Isolated, Raised, TimedOut
from scorers.ledger import Decision, decision_from_json, decision_to_json
from scorers.needs import missing_need, missing_operation_need, missing_session_need
from scorers.outcome import BadOutcome, scores_of
from scorers.targets import OPERATIONS, parts_of

HOSTILE_TEXTS: dict[str, str] = {
    "blank": "   \n\t ",
    "one_character": "a",
    "long": "The moon is 384,400 km away. " * 35_000,  # 1 MB
    "one_long_word": "a" * 200_000,
    "repetition": "(((((" * 10_000 + "@" * 10_000 + "1-" * 10_000,
    "binary": "".join(map(chr, range(256))) * 40,
    "right_to_left": "מה שלומך היום? \u202eabc\u202c مرحبا بالعالم.",
    "unspaced": "東京は日本の首都です。人口は1400万人。北京是中国的首都。",
    "lone_surrogates": "ok \ud800 and \udfff 4111 1111 1111 1111",
    "combining": "e\u0301" * 5_000 + "\u200b\u200d\ufeff",
    "many_marks": "".join(letter + "\u0336\u0347\u030d\u0489" * 40 for letter in "zalgo comes ") * 20,
    "deep_json": '{"a":[' * 5_000 + "1" + "]}" * 5_000,
    "backtracking": "a@a." * 5_000 + "!" + "x=" * 5_000 + "\\" * 5_000,
    "markup": "<script>alert(1)</script> ${x} {{y}} %s %n \x00 'q' \"Q\" `b`",
    "numbers": "٣٤٥ ¾ ² 1e999 -0 NaN inf 0x1F 1,2,3.4.5",
}
"""Texts that have broken scorers."""


def traces() -> Iterator[tuple[str, Trace]]:
    """Traces that fill every need: an ordinary one, then one for each hostile text in every place."""
    yield "ordinary", trace_of_text("The moon orbits the Earth.", answer="The moon orbits the Earth.")
    yield "empty", Trace("0" * 32)
    for name, text in HOSTILE_TEXTS.items():
        yield name, trace_of_text(text)


def trace_of_text(text: str, answer: str | None = None) -> Trace:
    """A trace with retrieval, tools and structured output, that has `text` wherever there is text."""
    said = text if answer is None else answer
    call = RequestedCall("look_up", {"query": text}, "call-1")
    schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    llm_call = LLMCall(
        span_id="00f067aa0ba902b7",
        start_ns=1_000,
        end_ns=2_000_000_000,
        input_messages=[Message("user", text)],
        output_text=said,
        input_tokens=120,
        output_tokens=40,
        tool_calls=[call],
        tool_definitions=[{"name": "look_up", "description": text, "parameters": schema}],
        output_schema=schema,
    )
    return Trace(
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        start_ns=1_000,
        end_ns=2_500_000_000,
        session_id="session-1",
        llm_calls=[llm_call],
        tool_executions=[ToolCall("00f067aa0ba902b8", 5, 6, None, "look_up", {"query": text}, {"found": text})],
        retrievals=[Retrieval("00f067aa0ba902b9", 1, 2, None, text, [Document(text, "doc-1", 0.5)])],
        question=text,
        answer=said,
        contexts=[text, "The moon orbits the Earth at 384,400 km."],
        reference=text,
        span_count=4,
    )


def sessions() -> Iterator[tuple[str, Session]]:
    """Sessions that fill every need: an ordinary one, then one for each hostile text in every place."""
    yield "ordinary", session_of_text("How far is the moon?")
    yield "empty", Session("s")
    for name, text in HOSTILE_TEXTS.items():
        yield name, session_of_text(text)


def session_of_text(text: str) -> Session:
    """A session of three turns that has `text` wherever there is text."""
    turns = [
        Turn(f"{number:032x}", number * 10, number * 10 + 5, text, text, [ToolUse("look_up", text, number == 2)])
        for number in (1, 2, 3)
    ]
    return Session("session-1", "shop", turns)


def check_scorer(scorer: Scorer) -> None:
    """Run every check of this module.

    Raises:
        AssertionError: with a line for each check that failed, and the trace it failed on.
    """
    problems = list(problems_of(scorer))
    assert not problems, f"{scorer.name}:\n" + "\n".join(problems)


def problems_of(scorer: Scorer) -> Iterator[str]:
    """What is wrong with a scorer, a line each; nothing if it is fine."""
    if not scorer.doc:
        yield "it has no docstring to tell its users what it measures"
    if scorer.evaluator_id != scorer.configured().evaluator_id:
        yield "its evaluator id is not stable"
    for name, subject in _subjects(scorer):
        problem = next((found for check in _CHECKS if (found := _problem(check, scorer, subject))), None)
        if problem:
            yield f"on the {name}: {problem}"
            if problem.startswith(_TIMEOUT):
                return  # each of the others would take as long


Subject: TypeAlias = tuple[Trace] | tuple[Session] | tuple[Operation, Trace]
"""What a scorer is called with."""


def _subjects(scorer: Scorer) -> Iterator[tuple[str, Subject]]:
    """Whatever it has to stand and is not filtered, by name."""
    if scorer.target == "session":
        for name, session in sessions():
            if missing_session_need(scorer.needs, session) is None:
                yield f"{name} session", (session,)
        return
    for name, trace in traces():
        if scorer.target in OPERATIONS:
            for _, operation in parts_of(scorer.target, trace):
                if missing_operation_need(scorer.needs, scorer.target, operation, trace) is None:
                    yield f"{name} {scorer.target}", (operation, trace)
        elif missing_need(scorer.needs, trace) is None:
            yield f"{name} trace", (trace,)


_TIMEOUT = "timeout"
BUILT_IN_SECONDS = 60.0
"""For built-ins, which have no timeout of their own; never met but by one that hangs."""

Check = Callable[[Scorer, Subject], str | None]


def _gives_believable_scores(scorer: Scorer, subject: Subject) -> str | None:
    try:
        _scores(scorer, subject)
    except BadOutcome as error:
        return f"{error.reason}: {error}"
    return None


def _gives_the_same_twice(scorer: Scorer, subject: Subject) -> str | None:
    same = _scores(scorer, subject) == _scores(scorer, copy.deepcopy(subject))
    return None if same else "two runs on the same trace differ"


def _leaves_the_trace_alone(scorer: Scorer, subject: Subject) -> str | None:
    before = copy.deepcopy(subject)
    _scores(scorer, subject)
    return None if subject == before else "it changes the trace, which other scorers see"


def _can_be_stored(scorer: Scorer, subject: Subject) -> str | None:
    for score in _scores(scorer, subject):
        decision = Decision(scorer.name, scorer.evaluator_id, "scored", "ok", 1.0, "test", score, score.span_id)
        try:
            restored = decision_from_json(orjson.loads(orjson.dumps(decision_to_json(decision))))
        except (TypeError, ValueError) as error:
            return f"its score cannot be stored: {error}"
        if restored != decision:
            return "its score is another after storing and loading"
    return None


def _points_into_the_text(scorer: Scorer, subject: Subject) -> str | None:
    longest = max(len(text or "") for text in (*_texts(subject), ""))
    for score in _scores(scorer, subject):
        wrong = next((item for item in score.evidence if not _inside(item, longest)), None)
        if wrong is not None:
            return f"evidence {wrong.start}:{wrong.end} is not in any text"
    return None


_CHECKS: tuple[Check, ...] = (
    _gives_believable_scores,
    _gives_the_same_twice,
    _leaves_the_trace_alone,
    _can_be_stored,
    _points_into_the_text,
)


def _problem(check: Check, scorer: Scorer, subject: Subject) -> str | None:
    try:
        return check(scorer, copy.deepcopy(subject))
    except TimedOut:
        return f"{_TIMEOUT}: no result within {scorer.timeout_seconds:g} s"
    except Raised as error:
        return f"raises {_in_words(error.__cause__ or error)}"[:300]
    except Exception as error:  # such as no score, of a scorer that gave one a moment before
        return f"raises {_in_words(error)}"[:300]


def _in_words(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:
        return "an exception that cannot be printed"


def _texts(subject: Subject) -> list[str | None]:
    whole = subject[-1]
    if isinstance(whole, Trace):
        return [whole.question, whole.answer, *whole.contexts]
    assert isinstance(whole, Session)
    return [text for turn in whole.turns for text in (turn.question, turn.answer)]


def _inside(item: Evidence, longest: int) -> bool:
    # Tool results are read as JSON, with more characters than the text inside.
    return 0 <= item.start <= item.end <= 12 * longest + 100


def _scores(scorer: Scorer, subject: Subject) -> list[Score]:
    """As the runner calls it: on a thread of its own, with its timeout.

    Raises:
        BadOutcome: no scores came of it.
        TimedOut: nothing did, in time.
        Raised: by what it raised.
    """
    isolated = Isolated(scorer.name, BUILT_IN_SECONDS if scorer.built_in else scorer.timeout_seconds)
    try:
        returned = isolated.call(partial(scorer, *_arguments(scorer, subject)))
        if scorer.batch:
            returned = isolated.call(partial(_first_of_batch, returned))
        found: list[Score] = isolated.call(partial(scores_of, scorer, returned))  # type: ignore[assignment]
        return found
    except Raised as error:
        if isinstance(error.__cause__, BadOutcome):
            raise error.__cause__ from None
        raise
    finally:
        isolated.close()


_BATCH = 2


def _arguments(scorer: Scorer, subject: Subject) -> tuple[Any, ...]:
    if scorer.batch:
        return ([subject[0], *(copy.deepcopy(subject[0]) for _ in range(_BATCH - 1))],)
    return (*subject, {}) if scorer.after else subject


def _first_of_batch(found: object) -> object:
    if not isinstance(found, list | tuple) or len(found) != _BATCH:
        raise BadOutcome(
            "wrong_type", f"a scorer of batches gives a list with an outcome for each of its {_BATCH} traces"
        )
    return found[0]
