"""Was another of the offered tools meant?"""

from collections.abc import Iterator
from itertools import islice

from collector.core.model import JSON, LLMCall, RequestedCall, Trace
from scorers.base import Score, scorer
from scorers.builtin.tool_fit import nearness
from scorers.builtin.tools import accepts

_MOST_CALLS = 50
_MOST_RIVALS = 50  # that a call is compared with
_CLEARLY = 1.4
_LEAST = 0.5  # in common with the question, of 2


@scorer(
    name="tool_choice",
    needs=("question", "tool_calls", "tool_definitions"),
    range=(0, 1),
    passing="== 1",
    version="1",
)
def tool_choice(trace: Trace) -> Score | None:
    """Share of the tool calls for which no other offered tool is clearly nearer to the question.

    A rival takes the same arguments and is not called in the trace itself; calls without one are not counted. Wrong on
    runs that end after a first step towards what was asked: a search before a booking that needs a yes.

    Wrong also on tools that are told apart by other words than the question's.
    """
    question = trace.question or ""
    called = {requested.name for call in trace.llm_calls for requested in call.tool_calls}
    called |= {run.name for run in trace.tool_executions}
    compared = 0
    passed_over: list[str] = []
    for tool, rivals in islice(_contests(trace, called), _MOST_CALLS):
        compared += 1
        nearest = max(nearness(question, rival) for rival in rivals)
        if nearest >= _LEAST and nearest >= _CLEARLY * nearness(question, tool):
            passed_over.append(str(tool.get("name")))
    if not compared:
        return None
    told = f": {', '.join(list(dict.fromkeys(passed_over))[:5])}" if passed_over else ""
    return Score(
        round(1 - len(passed_over) / compared, 6),
        label="another" if passed_over else "nearest",
        explanation=f"for {len(passed_over)} of {compared} calls another tool is nearer to the question{told}",
    )


def _contests(trace: Trace, called: set[str]) -> Iterator[tuple[dict[str, JSON], list[dict[str, JSON]]]]:
    """The tools that were called rightly by their declaration, each with those that might have been called instead."""
    for call, requested in _requested(trace):
        tool = next((one for one in call.tool_definitions if one.get("name") == requested.name), None)
        if tool is None or not accepts(tool, requested.arguments):
            continue
        others = islice((one for one in call.tool_definitions if one.get("name") not in called), _MOST_RIVALS)
        rivals = [one for one in others if accepts(one, requested.arguments)]
        if rivals:
            yield tool, rivals


def _requested(trace: Trace) -> Iterator[tuple[LLMCall, RequestedCall]]:
    pairs = ((call, requested) for call in trace.llm_calls for requested in call.tool_calls)
    return islice(pairs, _MOST_CALLS)
