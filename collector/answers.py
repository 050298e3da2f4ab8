"""One call of a model that several traces tell (a gateway and an application, an SDK's own root span) is one call.

Two accounts are of the same call if they have the same answer id and overlap in time: ids alone do not say so, since
caches give an answer again, and some servers have few ids. The call belongs to one of the traces, its *home*: the one
that tells content, of several the one with more spans, of equals the one that was evaluated first. The others lose it.
A trace that loses a call after it was evaluated has to be evaluated again; so has one whose account of the tokens
turns out to be less exact than that of a span without content, which is the provider's own SDK's.

Everything depends on the order of evaluations and on event time alone, so that a replay does the same.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

from collector.core.model import JSON, LLMCall, Repeat, Trace
from collector.merge import USAGE, has_content

MOST_ANSWERS = 100_000  # remembered; some 50 MB
_SLACK_NS = 1_000_000_000  # clocks of a gateway and of an application
_LONGEST_KEY = 64
_FILLED = ("provider", "request_model", "response_model", "finish_reason", "first_token_seconds")

Facts: TypeAlias = dict[str, JSON]


@dataclass(slots=True)
class Answer:
    """Where a call belongs, when it was, and what spans without content told of it."""

    home: str
    start_ns: int
    end_ns: int
    told_ns: int
    content: bool
    spans: int
    facts: Facts = field(default_factory=dict)

    def overlaps(self, call: LLMCall) -> bool:
        return call.start_ns <= self.end_ns + _SLACK_NS and self.start_ns <= call.end_ns + _SLACK_NS


class Answers:
    """The calls of the last while; one for each partition, whose state keeps it.

    Args:
        window_ns: how long a call is remembered, by event time.
    """

    def __init__(self, window_ns: int, limit: int = MOST_ANSWERS) -> None:
        self._window_ns, self._limit = window_ns, limit
        self._answers: OrderedDict[str, tuple[int, Answer]] = OrderedDict()  # by the number of their last change
        self._changed: OrderedDict[str, Answer] = OrderedDict()
        self._again: dict[str, None] = {}
        self.changes = 0  # so far
        self.now_ns = 0  # event time

    def settle(self, trace: Trace) -> None:
        """Take from a trace the calls that belong to another, and complete those that others told too."""
        if not trace.llm_calls:
            return
        self._forget()
        trace.llm_calls = [
            call
            for call in trace.llm_calls
            if call.response_id is None or self._settle_call(trace, call, _key(trace.tenant, call.response_id))
        ]

    def take_again(self) -> list[str]:
        """The ids of the traces that have to be evaluated again, each once, since the last call."""
        found, self._again = list(self._again), {}
        return found

    # --- a restart ---

    def take_changed(self) -> bytes | None:
        """What changed since the last call, for `restore`; None: nothing."""
        if not self._changed:
            return None
        rows = [
            (key, one.home, one.start_ns, one.end_ns, one.told_ns, one.content, one.spans, one.facts)
            for key, one in self._changed.items()
        ]
        self._changed.clear()
        return orjson.dumps(rows)

    def restore(self, changed: bytes) -> None:
        """Take in what `take_changed` gave, in the order in which it did."""
        for key, *row in orjson.loads(changed):
            self._put(key, Answer(*row))
        self._changed.clear()

    @property
    def oldest_change(self) -> int:
        """The number of the oldest change that still counts; one more than all if none does."""
        return next((number for number, _ in self._answers.values()), self.changes + 1)

    # --- inside ---

    def _settle_call(self, trace: Trace, call: LLMCall, key: str) -> bool:
        """Whether the call stays."""
        _, known = self._answers.get(key, _NOTHING)
        content = has_content(call)
        mine = Answer(trace.owned_id, call.start_ns, call.end_ns, self.now_ns, content, trace.span_count)
        if known is None or not known.overlaps(call):
            if not content:
                mine.facts = _facts(call)
            self._put(key, mine)
            return True
        if known.home == trace.owned_id:
            mine.facts = known.facts if content else {**known.facts, **_facts(call)}
            _complete(call, known.facts)
            if mine != known:
                self._put(key, mine)
            return True
        if (content, trace.span_count) > (known.content, known.spans):
            self._again[known.home] = None
            mine.facts = known.facts
            self._put(key, mine)
            _complete(call, mine.facts)
            call.repeated = True
            return True
        if not content and (facts := {**known.facts, **_facts(call)}) != known.facts:
            known.facts = facts
            self._put(key, known)
            self._again[known.home] = None
        trace.repeats.append(Repeat(call.span_id, known.home.removesuffix(trace.tenant.encode().hex())))
        return False

    def _put(self, key: str, answer: Answer) -> None:
        self.changes += 1
        self._answers.pop(key, None)
        self._answers[key] = self.changes, answer
        self._changed.pop(key, None)
        self._changed[key] = answer
        if len(self._answers) > self._limit:
            self._answers.popitem(last=False)

    def _forget(self) -> None:
        while self._answers:
            _, answer = next(iter(self._answers.values()))
            if answer.told_ns + self._window_ns > self.now_ns:
                return
            self._answers.popitem(last=False)


_NOTHING = (0, None)


def settle_all(traces: Iterable[Trace]) -> None:
    """Settle traces that are all at hand, whatever their times."""
    answers, by_id = Answers(window_ns=1), {trace.owned_id: trace for trace in traces}
    waiting = list(by_id)
    while waiting:
        for trace_id in waiting:
            answers.settle(by_id[trace_id])
        waiting = answers.take_again()


def _key(tenant: str, response_id: str) -> str:
    if tenant:  # what one tenant tells says nothing of another's calls
        response_id = f"{tenant}\0{response_id}"
    if len(response_id) <= _LONGEST_KEY:
        return response_id
    return hashlib.blake2b(response_id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _facts(call: LLMCall) -> Facts:
    return {name: value for name in (*USAGE, *_FILLED) if (value := getattr(call, name)) is not None}


def _complete(call: LLMCall, facts: Facts) -> None:
    """A span without content tells the tokens more exactly, and perhaps what this one does not know."""
    for name, value in facts.items():
        if name in USAGE or getattr(call, name) is None:
            setattr(call, name, value)
