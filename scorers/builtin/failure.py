"""Where a run that failed went wrong first."""

from collections.abc import Sequence

from collector.core.model import Trace
from collector.patterns import Sign
from scorers.base import Score, scorer
from scorers.steps import Step, steps_of
from scorers.text import read

_STEP_CHARACTERS = 4_000
_STRAYS = 0.4
_SEVERAL_NUMBERS = 3
_INVENTS = Sign(
    r"\b(?:assum(?:e|es|ed|ing|ption|ptions)|hypothe(?:tical|tically|sis)|simulat(?:e|es|ed|ing|ion)|mock|placeholder"
    r"|sample data|example (?:data|output)|for the sake|let's say|pretend|manually|typically|from memory"
    r"|previously known|based on (?:my|general|common|internal) knowledge)\b"
)
_TROUBLE = Sign(r"\b(?:errors?|debug(?:ging)?|exit ?codes?|failed|results from last)\b")
_CLOSING_CHARACTERS = 60

MARKS: dict[str, float] = {
    "strays": 1.5,
    "trouble": 1.5,
    "nothing": 1.0,
    "failed": 1.0,
    "numbers": 1.0,
    "invents": 1.0,
    "first": 0.5,
}
"""What speaks against a step: as the opening, it has little of the question, or begins with trouble; what it had done
found nothing, or failed; it brings several numbers that nobody gave; it makes something up; it is the first answer to
the task. Set by hand."""


@scorer(name="failure_step", needs=("llm_calls",), range=(0, float("inf")), better="higher", unit="steps", version="1")
def failure_step(trace: Trace) -> Score | None:
    """Of a run known to have failed: the step to look at first, counted from 0, with the user's messages and tool runs.

    The label says what failed: `planner`, `tool`, `retrieval` or `answer`. Says nothing of whether the run failed: of a
    good run it names a step as well.

    Wrong on: errors of meaning, which leave no mark; three runs in five.
    """
    steps = steps_of(trace)
    suspects = [at for at, step in enumerate(steps) if step.kind == "model" and not _closes(step)]
    if not suspects:
        return None
    marks = _marks(steps, suspects, trace.question or "")
    worst = max(suspects, key=lambda at: (sum(MARKS[mark] for mark in marks[at]), -at))
    told = ", ".join(marks[worst]) or "no mark"
    span = f", span {steps[worst].span_id}" if steps[worst].span_id else ""
    return Score(
        float(worst),
        label=_part(steps, worst),
        explanation=f"step {worst} of {len(steps)}{span}: {told}",
    )


def _marks(steps: Sequence[Step], suspects: Sequence[int], question: str) -> dict[int, list[str]]:
    asked = read(question[:_STEP_CHARACTERS])
    known = set(asked.numbers)
    found: dict[int, list[str]] = {}
    seen = 0
    for at in suspects:
        for step in steps[seen:at]:
            known |= read(step.text[:_STEP_CHARACTERS]).numbers
        seen = at
        text = read(steps[at].text[:_STEP_CHARACTERS])
        found[at] = _opening(text.text, asked.terms) if at == suspects[0] and len(suspects) > 1 else []
        following = steps[at + 1] if at + 1 < len(steps) else Step("user")
        checks = {
            "nothing": following.acts and following.empty,
            "failed": following.acts and following.failed,
            "numbers": at != suspects[0] and len(text.numbers - known) >= _SEVERAL_NUMBERS,
            "invents": _INVENTS.occurs(text.text),
            "first": len(suspects) > 1 and at == suspects[1],
        }
        found[at] += [mark for mark, holds in checks.items() if holds]
    return found


def _opening(text: str, asked: frozenset[str]) -> list[str]:
    """Marks of the step that sets the task: its last part, which says what to do, against the question."""
    last = text[len(text) // 2 :]
    has = read(last).terms
    strays = bool(asked) and len(asked & has) < _STRAYS * len(asked)
    trouble = _TROUBLE.occurs(last)
    return [mark for mark, holds in (("strays", strays), ("trouble", trouble)) if holds]


def _closes(step: Step) -> bool:
    return len(step.text) < _CLOSING_CHARACTERS and len(read(step.text).terms) <= 1


def _part(steps: Sequence[Step], at: int) -> str:
    """Which part of the system a step's failure falls to."""
    following = steps[at + 1] if at + 1 < len(steps) else None
    if following is not None and following.acts and following.empty:
        return "retrieval"
    if following is not None and following.acts and following.failed:
        return "tool"
    later = any(step.acts for step in steps[at + 1 :])
    return "planner" if later else "answer"
