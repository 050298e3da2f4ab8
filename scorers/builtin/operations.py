"""How the request went: seconds, tokens, failure."""

from math import inf

from collector.core.model import Trace
from scorers.base import Score, scorer


@scorer(name="latency", range=(0, inf), passing="<= 30", better="lower", unit="seconds", version="1")
def latency(trace: Trace) -> float | None:
    """Seconds from the start of the first span to the end of the last.

    Includes whatever the application did besides, and queueing if it was traced. None where the spans carry no times.
    """
    return trace.seconds if trace.end_ns > 0 else None


@scorer(name="tokens", needs=("tokens",), range=(0, inf), better="lower", unit="tokens", version="1")
def tokens(trace: Trace) -> Score:
    """Tokens in and out of all model calls of the trace, cached ones included.

    Calls that report none count as none, so a total can be too low; the explanation says how many reported.
    """
    reported = [call for call in trace.llm_calls if call.input_tokens is not None or call.output_tokens is not None]
    total = sum(max(0, call.input_tokens or 0) + max(0, call.output_tokens or 0) for call in reported)
    return Score(float(total), explanation=f"{len(reported)} of {len(trace.llm_calls)} model calls report tokens")


@scorer(name="error", range=(0, 1), passing="== 0", better="lower", version="1")
def error(trace: Trace) -> Score:
    """1 if a span of the trace failed, else 0.

    A failure that the application recovered from counts too: its span says so.
    """
    failed = [type(step).__name__ for step in trace.operations() if step.error is not None]
    if not trace.error and not failed:
        return Score(0.0)
    return Score(1.0, explanation=f"failed: {', '.join(sorted(set(failed)))}" if failed else None)
