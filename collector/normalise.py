"""Spans and log events in, a trace out that scorers understand, whatever dialects its spans speak.

Each span is read on its own by its dialect; then what several spans told of one operation is merged, tool runs are
matched with the calls that asked for them, and the trace is summed up. The order of arrival makes no difference.
Nothing raises: what cannot be read is left out.
"""

from collections.abc import Sequence
from typing import TypeVar

from collector.core.model import (
    AgentStep,
    Embedding,
    LLMCall,
    LogEvent,
    Operation,
    Retrieval,
    Span,
    ToolCall,
    Trace,
)
from collector.facts import read_facts
from collector.gist import summarise
from collector.inherit import inherit
from collector.join import NO_EVENTS, events_by_span
from collector.merge import merge
from collector.seen import Seen, link, understand
from collector.toolruns import complete_history, complete_runs

_Kind = TypeVar("_Kind", bound=Operation)


def normalise(trace_id: str, spans: Sequence[Span], events: Sequence[LogEvent] = ()) -> Trace:
    """The trace that these spans and events make up."""
    ordered = sorted(spans, key=lambda span: (span.start_ns, -span.end_ns, span.span_id))
    joined = events_by_span(events) if events else {}
    found = (understand(span, joined.get(span.span_id, NO_EVENTS)) for span in ordered)
    seen = [one for one in found if one is not None]
    link(ordered, seen)
    merge(seen)
    inherit(seen)
    trace = _frame(trace_id, ordered)
    _take_operations(trace, seen)
    trace.error = any(span.failed for span in ordered) or any(step.error for step in _operations(seen))
    trace.dialects = sorted({one.dialect.name for one in seen})
    read_facts(trace, [*(span.attributes for span in ordered), *(event.attributes for event in events)])
    summarise(trace, seen)
    return trace


def _frame(trace_id: str, spans: Sequence[Span]) -> Trace:
    """The trace without its content. A root is a span without a parent, or whose parent is not here."""
    trace = Trace(trace_id, span_count=len(spans))
    if not spans:
        return trace
    known = {span.span_id for span in spans}
    root = next((span for span in spans if span.parent_id is None), None)
    outermost = root or next((span for span in spans if span.parent_id not in known), spans[0])
    trace.start_ns = spans[0].start_ns
    trace.end_ns = max(span.end_ns for span in spans)
    trace.name = outermost.name or None
    trace.root_span_id = root.span_id if root is not None else None
    trace.resource = outermost.resource
    return trace


def _operations(seen: Sequence[Seen]) -> list[Operation]:
    return [one.operation for one in seen if one.operation is not None and not one.dropped]


def _take_operations(trace: Trace, seen: Sequence[Seen]) -> None:
    steps = _operations(seen)
    trace.llm_calls = _only(steps, LLMCall)
    complete_history(trace.llm_calls)
    trace.tool_executions = complete_runs(trace.llm_calls, _only(steps, ToolCall))
    trace.retrievals = _only(steps, Retrieval)
    trace.embeddings = _only(steps, Embedding)
    trace.agent_steps = _only(steps, AgentStep)


def _only(steps: Sequence[Operation], kind: type[_Kind]) -> list[_Kind]:
    return [step for step in steps if isinstance(step, kind)]
