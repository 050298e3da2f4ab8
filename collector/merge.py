"""Several spans that describe one operation become one.

The same provider call is often told twice: by a framework and by the SDK's own instrumentation, by a wrapper and by
what it wraps. It counts once, with what each of them knew, and its tokens count once. Where two traces tell it, see
`collector.answers`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from itertools import pairwise

from collector.core.model import AgentStep, Embedding, LLMCall, Operation, Retrieval, ToolCall
from collector.dialects.mapping import Kind
from collector.seen import Seen

_SLACK_NS = 50_000_000  # clocks of two scopes in one process, and the time between their two ends
_OWN_FIELDS = frozenset({"span_id", "start_ns", "end_ns", "dialect", "repeated"})
_SHARED_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind) if field.name not in _OWN_FIELDS)
    for kind in (LLMCall, ToolCall, Retrieval, Embedding, AgentStep)
}
_NESTING: tuple[Kind, ...] = ("tool", "retrieval")
USAGE = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "cache_write_input_tokens")


def merge(seen: Sequence[Seen]) -> None:
    """Mark as dropped what describes no operation of its own; what remains has learnt from it.

    `seen` is in order of start.
    """
    for one in seen:
        if one.kind == "llm" and not one.dialect.certain and _says_nothing(one):
            one.dropped = True
    kinds = [one.kind for one in seen]
    if kinds.count("llm") > 1:  # most traces have one call of a model, and nothing to merge
        _merge_wrappers(seen, "llm")
        _merge_same_answer(seen)
        _merge_side_by_side(seen)
    if kinds.count("embedding") > 1:
        _merge_wrappers(seen, "embedding")
        _merge_embeddings_side_by_side(seen)
    for kind in _NESTING:
        if kinds.count(kind) > 1:
            _merge_nested(seen, kind)


# --- one of these calls --------------------------------------------------------------------------------------------


def has_content(call: LLMCall) -> bool:
    return bool(call.input_messages or call.output_text or call.tool_calls or call.refusal)


def _has_usage(call: LLMCall) -> bool:
    return call.input_tokens is not None or call.output_tokens is not None


def _usage(call: LLMCall) -> tuple[int | None, int | None]:
    return call.input_tokens, call.output_tokens


def _call(one: Seen) -> LLMCall:
    assert isinstance(one.operation, LLMCall)
    return one.operation


def _says_nothing(one: Seen) -> bool:
    """A span that calls itself a model call but shows no sign of one: a preparing step of some frameworks."""
    call = _call(one)
    return not (call.error or call.response_id or call.finish_reason or has_content(call) or _has_usage(call))


# --- merging two ---------------------------------------------------------------------------------------------------


def absorb(target: Operation, other: Operation) -> None:
    """Take over what the other knows and the target does not."""
    for name in _SHARED_FIELDS[type(target)]:
        if getattr(target, name) in (None, [], ""):
            setattr(target, name, getattr(other, name))


def _merge_pair(target: Seen, other: Seen) -> None:
    """`other` describes what `target` describes. The more exact account of the usage wins."""
    other.dropped = True
    if target.operation is None or other.operation is None:
        return
    if other.dialect.usage_rank > target.dialect.usage_rank:
        for name in USAGE:
            told = getattr(other.operation, name, None)
            if told is not None:
                setattr(target.operation, name, told)
    if target.operation.error is not None and other.operation.error is not None:
        error, told = target.operation.error, other.operation.error
        error.type, error.message = error.type or told.type, error.message or told.message
    absorb(target.operation, other.operation)


def _merge_calls(one: Seen, other: Seen) -> Seen:
    """The one of two accounts of a call that stays: the one with content, the first if both have it."""
    if not has_content(_call(one)) and has_content(_call(other)):
        one, other = other, one
    _merge_pair(one, other)
    return one


# --- which belong together -----------------------------------------------------------------------------------------


def _alive(seen: Iterable[Seen], kind: Kind) -> list[Seen]:
    return [one for one in seen if one.kind == kind and not one.dropped]


def _from_the_inside(seen: list[Seen]) -> list[Seen]:
    """What is enclosed before what encloses it. That starts first, unless the two tell the very same times."""
    if len(seen) < 2:
        return seen
    before = -1
    for one in seen:
        start = one.span.start_ns
        if start <= before or (one.above is not None and one.above.span.start_ns >= start):
            break
        before = start
    else:
        return seen[::-1]
    depths: dict[int, int] = {}
    for one in seen:
        path: list[Seen] = []
        above: Seen | None = one
        while above is not None and id(above) not in depths:
            depths[id(above)] = 0  # also ends a circle
            path.append(above)
            above = above.above
        depth = depths[id(above)] if above is not None else -1
        for passed in reversed(path):
            depth += 1
            depths[id(passed)] = depth
    return sorted(seen, key=lambda one: -depths[id(one)])


def _merge_wrappers(seen: Sequence[Seen], kind: Kind) -> None:
    """A model call within a model call: the outer wraps the inner. Around several it only repeats sums."""
    inner: dict[int, list[Seen]] = {}
    for one in _from_the_inside(_alive(seen, kind)):
        below = [found for found in inner.pop(id(one), []) if not found.dropped]
        stays = one
        if len(below) == 1:
            stays = _merge_calls(below[0], one) if kind == "llm" else below[0]
            one.dropped = stays is not one
        elif below:
            one.dropped = True
        above = _alive_above(one)
        if above is not None and above.kind == kind:
            # Of several only that they are: passed up whole, they would be copied at each level of a deep trace.
            inner.setdefault(id(above), []).extend(below[:2] if len(below) > 1 else [stays])


def _alive_above(one: Seen) -> Seen | None:
    above, steps = one.above, 0
    while above is not None and above.dropped and steps < 64:
        above, steps = above.above, steps + 1
    return above


def _merge_same_answer(seen: Sequence[Seen]) -> None:
    """Two accounts of one answer: the same id from the provider, at the same time."""
    by_answer: dict[str, list[Seen]] = {}
    for one in _alive(seen, "llm"):
        response_id = _call(one).response_id
        if response_id is None:
            continue
        known = by_answer.setdefault(response_id, [])
        for at, other in enumerate(known[-8:], start=max(0, len(known) - 8)):
            if _together(one, other):
                known[at] = _merge_calls(other, one)
                break
        else:
            known.append(one)


def _together(one: Seen, other: Seen) -> bool:
    """Whether two spans overlap in time, or all but."""
    first, second = one.span, other.span
    return first.start_ns <= second.end_ns + _SLACK_NS and second.start_ns <= first.end_ns + _SLACK_NS


def _merge_side_by_side(seen: Sequence[Seen]) -> None:
    """Two scopes that stand side by side and tell one call, where no answer's id says so (it failed, for instance).

    One of them tells no content, and its time lies within the other's.
    """
    by_parent: dict[str | None, list[Seen]] = {}
    for one in _alive(seen, "llm"):
        if one.span.parent_id is not None:
            by_parent.setdefault(one.span.parent_id, []).append(one)
    for group in by_parent.values():
        for one, other in pairwise(group):
            if not one.dropped and (_one_call(one, other) or _goes_on(one, other)):
                _merge_calls(one, other)


def _merge_embeddings_side_by_side(seen: Sequence[Seen]) -> None:
    """An embedding told by two scopes, one within the time of the other, of the same model."""
    for one, other in pairwise(_alive(seen, "embedding")):
        first, second = one.operation, other.operation
        same_place = one.span.parent_id is not None and one.span.parent_id == other.span.parent_id
        if not (same_place and isinstance(first, Embedding) and isinstance(second, Embedding)):
            continue
        two_accounts = one.span.scope_name != other.span.scope_name and first.model == second.model
        if two_accounts and not one.dropped and (_encloses(one, other) or _encloses(other, one)):
            _merge_pair(one, other)


def _one_call(one: Seen, other: Seen) -> bool:
    first, second = _call(one), _call(other)
    if one.span.scope_name == other.span.scope_name:
        return False
    if has_content(first) == has_content(second) and not (_has_usage(first) and _usage(first) == _usage(second)):
        return False
    if first.response_id and second.response_id:
        return False  # and they differ, or they would be merged
    within = _encloses(one, other) or _encloses(other, one)
    same_model = None in (first.request_model, second.request_model) or first.request_model == second.request_model
    return within and same_model


def _goes_on(one: Seen, other: Seen) -> bool:
    """A streamed call whose answer came as a span of no duration, after the call's own, with the same input."""
    first, second = _call(one), _call(other)
    if other.span.end_ns > other.span.start_ns or first.error or first.output_text or first.tool_calls:
        return False
    return bool(first.input_messages) and first.input_messages == second.input_messages and not _has_usage(first)


def _encloses(outer: Seen, inner: Seen) -> bool:
    start, end = outer.span.start_ns - _SLACK_NS, outer.span.end_ns + _SLACK_NS
    return start <= inner.span.start_ns and inner.span.end_ns <= end


def _merge_nested(seen: Sequence[Seen], kind: Kind) -> None:
    """A tool run within a run of the same tool, a search within the same search: the outer is what the caller saw."""
    for one in _from_the_inside(_alive(seen, kind)):
        above = one.above
        if above is not None and above is not one and above.kind == kind and not above.dropped and _same(above, one):
            _merge_pair(above, one)


def _same(outer: Seen, inner: Seen) -> bool:
    first, second = outer.operation, inner.operation
    if isinstance(first, ToolCall) and isinstance(second, ToolCall):
        return first.name == second.name and (first.id is None or second.id is None or first.id == second.id)
    if isinstance(first, Retrieval) and isinstance(second, Retrieval):
        if not first.documents or not second.documents:
            return True
        return {doc.text for doc in first.documents} == {doc.text for doc in second.documents}
    return False
