"""What a scorer is about: the trace, the session, or each operation of a kind, with an identity within its trace."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from collector.core.model import Operation, Trace

Target: TypeAlias = Literal["trace", "llm_call", "tool_call", "retrieval", "session"]
"""What a score is about. A scorer of `session` is given a `Session` once it is over; one of an operation is given the
operation and its trace, once for each; the others the trace."""

OPERATIONS = {"llm_call": "llm_calls", "tool_call": "tool_executions", "retrieval": "retrievals"}
"""Where a trace has the operations of a target; also the name of the need for them."""

MOST_OPERATIONS = 1_000
"""Of a trace that a scorer is called for; how many more there are is told in one decision."""


class Part(NamedTuple):
    """One operation. `span_id` is that of its span where no other operation of the kind has it; others are counted:
    `00f067aa0ba902b7#2` is the second of that span, `#1` the first that is known from messages alone."""

    span_id: str
    operation: Operation


def parts_of(target: str, trace: Trace) -> Iterator[Part]:
    """The operations of the kind that `target` names, at most `MOST_OPERATIONS`."""
    yield from parts(_operations(target, trace)[:MOST_OPERATIONS])


def parts(operations: Iterable[Operation]) -> Iterator[Part]:
    """Operations of one kind, each with its identity."""
    seen: Counter[str] = Counter()
    for operation in operations:
        span_id = operation.span_id or ""
        seen[span_id] += 1
        alone = span_id and seen[span_id] == 1
        yield Part(span_id if alone else f"{span_id}#{seen[span_id]}", operation)


def added_parts(before: Iterable[Operation], now: Iterable[Operation]) -> list[Part]:
    """The operations of one kind that a revision of a trace has over what it had before.

    Never more than it has more: a late span may tell a call better that another told already, which then goes by the
    late span's identity and is no further call.
    """
    known = {part.span_id for part in parts(before)}
    found = list(parts(now))
    new = [part for part in found if part.span_id not in known]
    return new[: max(0, len(found) - len(known))]


def left_out(target: str, trace: Trace) -> int:
    """How many operations `parts_of` does not tell."""
    return max(0, len(_operations(target, trace)) - MOST_OPERATIONS)


def span_of(part_id: str) -> str:
    """The span that an operation's identity names; empty if none."""
    return part_id.partition("#")[0]


def _operations(target: str, trace: Trace) -> Sequence[Operation]:
    found: Sequence[Operation] = getattr(trace, OPERATIONS[target])
    return found
