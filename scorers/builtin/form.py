"""Whether there is an answer at all, whether it was cut off, and whether it goes round in circles."""

import re
from itertools import islice
from operator import eq

from collector.core.model import Trace
from scorers.base import Evidence, Score, scorer
from scorers.text import clipped_note, read

_TOKEN = re.compile(r"\w+|\S")
_LONGEST_PHRASE = 64  # tokens
_LEAST_ROUNDS = 3  # the phrase itself, and twice more
_LEAST_TOKENS = 12  # that the rounds after the first take: "no, no, no" is speech
_LEAST_PROSE = 200  # characters; and words on the last line
_LEAST_WORDS = 8
_LISTED = re.compile(r"[ \t]{0,20}(?:[#|>*`-]|\d{1,9}[.)] )")
_FENCE = re.compile(r"^ {0,3}```", re.MULTILINE)
_ENDED = re.compile(r"[.!?] ")
_LATEST_TOKENS = 2_000  # what goes round in circles does so to the end


@scorer(name="empty_answer", needs=("llm_calls",), range=(0, 1), passing="== 0", better="lower", version="1")
def empty_answer(trace: Trace) -> Score | None:
    """1 if models were called, none of it failed, and nobody was answered; else 0.

    None where an error explains it (`error` counts that), and where no call tells what came out of it: then the
    content was not recorded, which is not an empty answer.
    """
    if trace.answer and trace.answer.strip():
        return Score(0.0)
    calls = trace.llm_calls
    if trace.error or any(call.refusal for call in calls):
        return None
    if any(call.output_text or call.tool_calls for call in calls) or any(call.output_tokens == 0 for call in calls):
        return Score(1.0, explanation="no text came out in the end")
    return None


@scorer(name="truncation", needs=("response",), range=(0, 1), passing="== 0", better="lower", version="2")
def truncation(trace: Trace) -> Score:
    """1 if the answer was cut off: the last call stopped at its limit of tokens, or a block of code has no end.

    Where no library tells why the model stopped, also if a text of sentences of 200 characters or more ends within one.
    Wrong on such cuts after a sentence or in a list, and on people who write no full stop.
    """
    last = trace.llm_calls[-1] if trace.llm_calls else None
    if last is not None and last.finish_reason == "length":
        return Score(1.0, label="length", explanation="the last call stopped at its limit", span_id=last.span_id)
    answer = trace.answer or ""
    fences = [found.start() for found in _FENCE.finditer(answer)] if "```" in answer else []
    if len(fences) % 2:
        where = Evidence(fences[-1], len(answer), "open_code")
        return Score(1.0, label="open_code", explanation="a block of code has no end", evidence=(where,))
    told = last is not None and last.finish_reason is not None
    if not told and (start := _open_sentence(answer)) is not None:
        where = Evidence(start, len(answer.rstrip()), "open_sentence")
        return Score(1.0, label="open_sentence", explanation="the last sentence has no end", evidence=(where,))
    return Score(0.0)


def _open_sentence(answer: str) -> int | None:
    """Where the last line begins if that is prose that ends within a sentence, in a text that ends others."""
    text = answer.rstrip()
    if len(text) < _LEAST_PROSE or not (text[-1].isalnum() or text[-1] in ",;(-"):
        return None
    start = text.rfind("\n") + 1
    words = text[start:].split()
    prose = len(words) >= _LEAST_WORDS and _LISTED.match(text, start) is None and "://" not in words[-1]
    return start if prose and _ENDED.search(text) else None


@scorer(name="repetition", needs=("answer",), range=(0, 1), passing="< 0.3", better="lower", version="1")
def repetition(trace: Trace) -> Score:
    """Share of the answer that says again at once what was just said: a model that goes round in circles.

    A phrase of up to 64 words and marks that comes three times or more in a row, counted from its second time on. The
    end of a long answer is looked at, where such circles are.
    """
    text = read(trace.answer or "")
    tokens = _TOKEN.findall(text.text)[-_LATEST_TOKENS:]
    if len(set(tokens)) * 2 > len(tokens):  # too many different ones for a circle that matters
        return Score(0.0, explanation=clipped_note(text) or None)
    places = [found.span() for found in _TOKEN.finditer(text.text)][-_LATEST_TOKENS:]
    again = _again(tokens)
    share = sum(again) / len(tokens) if tokens else 0.0
    evidence = tuple(Evidence(places[first][0], places[last][1], "repeated") for first, last in _runs(again))
    return Score(share, explanation=clipped_note(text) or None, evidence=evidence)


def _again(tokens: list[str]) -> bytearray:
    """For each token, 1 if it belongs to a second or later round of a phrase."""
    again = bytearray(len(tokens))
    for period in range(1, min(_LONGEST_PHRASE, len(tokens) // _LEAST_ROUNDS) + 1):
        same = bytes(map(eq, islice(tokens, period, None), tokens)) + b"\0"  # as the one a period before
        least = b"\1" * max((_LEAST_ROUNDS - 1) * period, _LEAST_TOKENS)
        start = same.find(least)
        while start >= 0:
            end = same.index(b"\0", start)
            again[period + start : period + end] = b"\1" * (end - start)
            start = same.find(least, end)
    return again


def _runs(marked: bytearray) -> list[tuple[int, int]]:
    """First and last place of each run of ones."""
    return [(found.start(), found.end() - 1) for found in re.finditer(rb"\x01+", marked)]
