"""Tool calls that go round in circles: A B A B."""

from collections.abc import Sequence

from collector.core.model import Trace
from scorers.base import Score, scorer
from scorers.steps import Step, same_call, steps_of

_LONGEST_ROUND = 10


@scorer(name="cycles", needs=("tool_executions",), range=(0, 1), passing="== 0", better="lower", version="1")
def cycles(trace: Trace, *, arguments: bool = True) -> Score:
    """Share of the tool runs that go through a round of two to ten calls once more: A B A B.

    A round is calls of at least two tools or arguments, the same in the same order, directly after each other; with
    `arguments=False` only the tools need be the same, which finds agents that vary their words, and work on lists.
    Wrong on: polling by two calls; the same calls on purpose, to a world that changed in between. A run whose
    arguments were not captured repeats nothing.
    """
    runs = [step for step in steps_of(trace) if step.kind == "tool"]
    keys = [_key(at, step, arguments) for at, step in enumerate(runs)]
    again, shortest = _again(keys)
    share = round(len(again) / len(keys), 6) if keys else 0.0
    told = f", in rounds of {shortest} calls" if again else ""
    return Score(
        share,
        label="cycle" if again else "none",
        explanation=f"{len(again)} of {len(keys)} runs go through a round again{told}",
    )


def _key(at: int, step: Step, arguments: bool) -> bytes | int:
    """What a run must have in common with another. A run whose arguments were not captured has nothing."""
    if not arguments:
        return step.name.encode("utf-8", "replace")
    return at if step.arguments is None else same_call(step)


def _again(keys: Sequence[bytes | int]) -> tuple[set[int], int]:
    """The runs of second and later rounds, and the length of the shortest round."""
    found: set[int] = set()
    shortest = 0
    for length in range(2, _LONGEST_ROUND + 1):
        start = length
        for at in range(length, len(keys) + 1):
            if at < len(keys) and keys[at] == keys[at - length]:
                continue
            whole = at - (at - start) % length  # a round that was broken off is none
            if whole > start and len(set(keys[start - length : start])) > 1:
                found.update(range(start, whole))
                shortest = shortest or length
            start = at + 1
    return found, shortest
