"""A trace as the steps of its run, in order: what the user said, the model's turns, tool runs and retrievals."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Literal, TypeAlias

import orjson

from collector.core.model import JSON, LLMCall, Retrieval, ToolCall, Trace

MOST_STEPS = 1_000
_KEPT_TRACES = 32  # that are scored together
_RESULT_CHARACTERS = 10_000

Kind: TypeAlias = Literal["user", "model", "tool", "retrieval"]

_EXECUTOR = re.compile(r"exitcode: (\d+)|There is no code from the last \d+ message")
"""How AutoGen's code executor begins its messages, which are results and no model's words."""

_NO_OUTPUT = re.compile(r"exitcode: 0[^\n]*\n(?:Code output:)?\s*(?:\[\]|\{\}|None|null)?\s*")
_ERROR = re.compile(r"\s*[{\[\"']*(?:error\b|traceback \(most recent call last\)|exception\b)", re.IGNORECASE)
_NOTHING = frozenset({"", "[]", "{}", "null", "none", '""', "no results", "no results found", "not found"})
_LONGEST_NOTHING = max(map(len, _NOTHING))


@dataclass(slots=True)
class Step:
    """One step. `failed`: an error came back. `empty`: nothing did, of tools and retrievals."""

    kind: Kind
    name: str = ""
    text: str = ""
    arguments: JSON = None
    failed: bool = False
    empty: bool = False
    span_id: str | None = None
    tokens: int = 0  # of a model's turn, read and written

    @property
    def acts(self) -> bool:
        """Something was done, rather than said."""
        return self.kind in ("tool", "retrieval")


def steps_of(trace: Trace) -> Sequence[Step]:
    """At most the first `MOST_STEPS`. A message of the user is a step where a model call is the first to have it.

    Kept while the trace is scored, so a trace that was asked for once must not change.
    """
    return _steps_of(_Itself(trace))


class _Itself:
    """A trace as a key: equal to no other, whatever that says."""

    __slots__ = ("trace",)

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __hash__(self) -> int:
        return id(self.trace)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.trace is self.trace


@lru_cache(maxsize=_KEPT_TRACES)
def _steps_of(one: _Itself) -> Sequence[Step]:
    return tuple(islice(_steps(one.trace), MOST_STEPS))


def same_call(step: Step) -> bytes:
    """Equal for calls of one tool with the same arguments, whether told as JSON or as text of it."""
    return step.name.encode("utf-8", "replace") + b"\0" + _canonical(step.arguments)


def _steps(trace: Trace) -> Iterator[Step]:
    every: list[LLMCall | ToolCall | Retrieval] = [*trace.llm_calls, *trace.tool_executions, *trace.retrievals]
    operations = sorted(every, key=lambda one: one.start_ns)
    heard = 0
    for operation in operations:
        if isinstance(operation, LLMCall):
            said = [message for message in operation.input_messages if message.role == "user"]
            yield from (Step("user", text=message.text or "") for message in said[heard:])
            heard = max(heard, len(said))
            yield _turn(operation)
        elif isinstance(operation, ToolCall):
            yield _run(operation)
        else:
            yield _search(operation)


def _turn(call: LLMCall) -> Step:
    text = call.output_text or ""
    found = _EXECUTOR.match(text)
    tokens = (call.input_tokens or 0) + (call.output_tokens or 0)
    if found is None:
        failed = call.error is not None
        return Step("model", call.response_model or "", text, failed=failed, span_id=call.span_id, tokens=tokens)
    failed, empty = found[1] not in ("0", None), _NO_OUTPUT.fullmatch(text[:_RESULT_CHARACTERS]) is not None
    return Step("tool", "executor", text, None, failed, empty, call.span_id, tokens)


def _run(run: ToolCall) -> Step:
    text = _result(run.result)
    if run.error is not None:
        text = "\n".join(part for part in (run.error.type, run.error.message, text) if part)
    failed = run.error is not None or _ERROR.match(text) is not None
    empty = run.result is not None and _says_nothing(text)
    return Step("tool", run.name, text, run.arguments, failed, empty and not failed, run.span_id)


def _says_nothing(text: str) -> bool:
    said = text.strip()
    return len(said) <= _LONGEST_NOTHING and said.lower() in _NOTHING


def _search(retrieval: Retrieval) -> Step:
    failed = retrieval.error is not None
    return Step(
        "retrieval",
        arguments=retrieval.query,
        failed=failed,
        empty=not retrieval.documents and not failed,
        span_id=retrieval.span_id,
    )


def _result(result: JSON) -> str:
    if isinstance(result, str):
        return result[:_RESULT_CHARACTERS]
    try:
        return "" if result is None else orjson.dumps(result)[:_RESULT_CHARACTERS].decode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError):
        return ""


def _canonical(arguments: JSON) -> bytes:
    try:
        value = orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        value = arguments
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError, RecursionError):
        return repr(arguments).encode("utf-8", "replace")
