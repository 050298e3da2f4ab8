"""Spans and log events in, a trace out that scorers understand, whatever dialects its spans speak.

Each span is read on its own by its dialect; then what several spans told of one operation is merged, tool runs are
matched with the calls that asked for them, and the trace is summed up. The order of arrival makes no difference.
Nothing raises: what cannot be read is left out.
"""

from collections.abc import Sequence

from collector.core.model import (
    STATUS_ERROR,
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
from collector.links import read_links
from collector.merge import merge
from collector.seen import Seen, link, understand
from collector.toolruns import complete_answers, complete_history, complete_runs


def normalise(trace_id: str, spans: Sequence[Span], events: Sequence[LogEvent] = ()) -> Trace:
    """The trace that these spans and events make up."""
    ordered = sorted(spans, key=lambda span: (span.start_ns, -span.end_ns, span.span_id))
    joined = events_by_span(events) if events else {}
    found = [understand(span, joined.get(span.span_id, NO_EVENTS)) for span in ordered]
    seen = [one for one in found if one is not None]
    link(ordered, seen)
    merge(seen)
    inherit(seen)
    trace = _frame(trace_id, ordered)
    _take_operations(trace, seen)
    trace.error = trace.error or STATUS_ERROR in [span.status_code for span in ordered]
    trace.truncated = True in [span.truncated for span in ordered] or True in [event.truncated for event in events]
    trace.dialects = sorted({one.dialect.name for one in seen})
    trace.links = read_links(trace_id, ordered) if any(span.links for span in ordered) else []
    read_facts(trace, (*ordered, *events))
    summarise(trace, seen)
    return trace


def _frame(trace_id: str, spans: Sequence[Span]) -> Trace:
    """The trace without its content. A root is a span without a parent, or whose parent is not here."""
    if not spans:
        return Trace(trace_id)
    outermost = root = next((span for span in spans if span.parent_id is None), None)
    if outermost is None:
        known = {span.span_id for span in spans}
        outermost = next((span for span in spans if span.parent_id not in known), spans[0])
    return Trace(
        trace_id,
        start_ns=spans[0].start_ns,
        end_ns=max([span.end_ns for span in spans]),
        name=outermost.name or None,
        resource=outermost.resource,
        span_count=len(spans),
        root_span_id=root.span_id if root is not None else None,
    )


_LISTS: dict[type[Operation], str] = {
    LLMCall: "llm_calls",
    ToolCall: "tool_executions",
    Retrieval: "retrievals",
    Embedding: "embeddings",
    AgentStep: "agent_steps",
}


def _take_operations(trace: Trace, seen: Sequence[Seen]) -> None:
    for one in seen:
        step = one.operation
        if step is not None and not one.dropped:
            getattr(trace, _LISTS[type(step)]).append(step)
            if step.error is not None:
                trace.error = True
    complete_history(trace.llm_calls)
    complete_answers(trace.llm_calls)
    trace.tool_executions = complete_runs(trace.llm_calls, trace.tool_executions)
