"""Instructions where there should be none: in what the user typed, and in what was retrieved or returned by tools."""

import orjson

from collector.core.model import JSON, Trace
from scorers.base import Evidence, Score, scorer
from scorers.builtin.instructions import FLAGGED, ORDERS, PROMPTS, judge_prompt, readings_of, surest
from scorers.text import clipped_note, read, read_passage

_MOST_PIECES = 200


@scorer(name="prompt_injection", needs=("question",), passing="< 0.5", better="lower", version="3", files=(PROMPTS,))
def prompt_injection(trace: Trace) -> Score:
    """How sure it is that the user tries to talk the model out of its instructions (override, persona, leak): 0 to 1.

    A linear model of the prompt's words, and phrases of known attacks, also behind zero-width characters, full-width
    letters or base64. Wrong on attacks of a new kind, in most other languages, and on people who write about attacks.
    """
    question = read(trace.question or "")
    value, evidence = judge_prompt(question)
    return _score(value, evidence, clipped_note(question))


@scorer(
    name="context_injection", needs=("foreign_text",), passing="< 0.5", better="lower", version="4", files=(ORDERS,)
)
def context_injection(trace: Trace) -> Score:
    """The same in what the model read from elsewhere, contexts and tool results: the surest of all pieces, 0 to 1.

    Looks for a sentence that orders or asks something of whoever reads it, and for phrases that address the model; a
    sentence counts for less if the rest of the text or the question has its words. Wrong on pages that have orders and
    questions of their own, such as a recipe or a list of frequent questions, and on orders that read like a statement.
    The evidence is in the piece that the explanation names.
    """
    worst, where, found, clipped = 0.0, "", list[Evidence](), False
    asked = read(trace.question or "").terms
    pieces = [(f"context {at}", text) for at, text in enumerate(trace.contexts)]
    pieces += [(f"tool result {at}", _as_text(run.result)) for at, run in enumerate(trace.tool_executions)]
    for name, text in pieces[:_MOST_PIECES]:
        piece = read_passage(text)
        clipped = clipped or piece.clipped
        value, evidence = surest(piece.once(readings_of), asked)
        if value > worst:
            worst, where, found = value, name, evidence
    note = " (long pieces were read in part)" if clipped else ""
    return _score(worst, found, f" in {where}{note}" if where else note)


def _score(value: float, evidence: list[Evidence], note: str) -> Score:
    signs = ", ".join(item.type for item in evidence) or ("its words" if value >= FLAGGED else "no known phrases")
    return Score(round(value, 4), explanation=signs + note, evidence=tuple(evidence))


def _as_text(value: JSON) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError, RecursionError):
        return ""
