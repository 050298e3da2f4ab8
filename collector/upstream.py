"""What the samplers of the application said of a trace, span by span.

Spans of one trace mostly say the same. They need not: a service in the middle may sample for itself, by the same
randomness (OpenTelemetry specification 1.5x, "TraceState: Probability Sampling"). Then a span is there with the
probability that it says itself, and several are there together with the lowest of theirs.
"""

from collections.abc import Mapping, Sequence

from collector.core.model import SpanSlice
from collector.sample import has_word, upstream_probability


def trace_state_of(spans: Sequence[SpanSlice]) -> str:
    """The tracestate that speaks for the trace: the root's, else that of the first span with a word of a sampler."""
    told = [span for span in spans if span.trace_state and has_word(span.trace_state)]
    root = next((span for span in told if not span.parent_id), None)
    return (root or told[0]).trace_state if told else ""


def chances_of(spans: Sequence[SpanSlice], trace_state: str) -> Mapping[str, float] | None:
    """The probability of each span, by its id, that does not say what the trace does; None where all agree."""
    others = {span.trace_state for span in spans} - {trace_state, ""}
    if not others:
        return None
    usual = upstream_probability(trace_state)
    told = {state: upstream_probability(state) for state in others if has_word(state, "th")}
    apart = {
        span.span_id.hex(): chance
        for span in spans
        if (chance := told.get(span.trace_state)) is not None and chance != usual
    }
    return apart or None
