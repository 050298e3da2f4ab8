"""How the request went: seconds, tokens, dollars, failure, and who answered."""

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


@scorer(name="cost", needs=("llm_calls",), range=(0, inf), better="lower", unit="dollars", version="1")
def cost(trace: Trace) -> Score | None:
    """Dollars of all model calls and embeddings of the trace whose cost is known: exported, or by the list of prices.

    None where none is known. Calls without a known cost count as none, so a total can be too low; the explanation says
    how many are known.
    """
    if trace.cost_usd is None:
        return None
    known = sum(call.cost_usd is not None for call in trace.llm_calls)
    told = f"the cost of {known} of {len(trace.llm_calls)} model calls is known"
    return Score(max(0.0, trace.cost_usd), explanation=told)


@scorer(name="first_token", needs=("llm_calls",), range=(0, inf), passing="<= 5", better="lower", unit="seconds")
def first_token(trace: Trace) -> Score | None:
    """Seconds until the slowest streamed call of the trace told its first chunk.

    None where no call tells that. What a library measures differs: the first chunk may be one without text.
    """
    waits = {call.span_id: call.first_token_seconds for call in trace.llm_calls if call.first_token_seconds is not None}
    if not waits:
        return None
    slowest = max(waits, key=lambda span_id: waits[span_id])
    return Score(max(0.0, waits[slowest]), explanation=f"{len(waits)} of {len(trace.llm_calls)} model calls tell it")


@scorer(name="model", needs=("llm_calls",), values=False, version="1")
def model(trace: Trace) -> Score | None:
    """The model that answered, as the label: of the last call that tells one, as the provider names it.

    Unjudged unless `passing` says which are right, such as `in gpt-4o, gpt-4o-mini`. Wrong on a library that tells the
    model that was asked for and not the one that answered, where the two differ.
    """
    call = next((call for call in reversed(trace.llm_calls) if call.model), None)
    return None if call is None else Score(None, label=call.model, span_id=call.span_id)


@scorer(name="provider", needs=("llm_calls",), values=False, version="1")
def provider(trace: Trace) -> Score | None:
    """The provider that answered, as the label: of the last call that tells one.

    Unjudged unless `passing` says which are right. Wrong on a gateway that a library names in its place.
    """
    call = next((call for call in reversed(trace.llm_calls) if call.provider), None)
    return None if call is None else Score(None, label=call.provider, span_id=call.span_id)
