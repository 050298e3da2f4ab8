"""Steps that brought nothing, and the tokens that were spent on them."""

from collections.abc import Sequence

from collector.core.model import Trace
from scorers.base import Score, scorer
from scorers.steps import Step, same_call, steps_of

_LEAST_CHARACTERS = 20  # of a model's turn that is told twice; shorter ones say "OK"


@scorer(name="wasted_steps", needs=("tools_used",), range=(0, 1), passing="<= 0.34", better="lower", version="1")
def wasted_steps(trace: Trace) -> Score | None:
    """Share of the model's turns, tool runs and retrievals that brought nothing.

    Wasted are what failed, what found nothing, a tool run with arguments and result of an earlier one, and a turn in
    the words of an earlier one.

    Wrong on: a search that rightly finds nothing; steps that bring something nobody needed, which are not found.
    """
    steps = steps_of(trace)
    done = [step for step in steps if step.kind != "user"]
    if not done:
        return None
    wasted = [step for step, lost in zip(steps, _wasted(steps), strict=True) if lost]
    kinds = ", ".join(
        f"{name} {sum(_why(step) == name for step in wasted)}" for name in ("failed", "empty", "repeated")
    )
    return Score(
        round(len(wasted) / len(done), 6), explanation=f"{len(wasted)} of {len(done)} steps brought nothing: {kinds}"
    )


@scorer(name="wasted_tokens", needs=("tools_used", "tokens"), range=(0, 1), better="lower", version="1")
def wasted_tokens(trace: Trace) -> Score | None:
    """Share of the tokens, read and written, of model turns that brought nothing.

    Such a turn failed, said again what an earlier one said, or all that it had done was wasted as `wasted_steps` counts
    it. Wrong on: what `wasted_steps` is wrong on; tool runs that are traced before the turn that asked for them.
    """
    steps = steps_of(trace)
    wasted = _wasted(steps)
    total = sum(step.tokens for step in steps)
    if not total:
        return None
    lost = 0
    for at, step in enumerate(steps):
        if step.kind == "model" and (wasted[at] or _all_wasted(steps, wasted, at + 1)):
            lost += step.tokens
    return Score(round(lost / total, 6), explanation=f"{lost} of {total} tokens are of turns that brought nothing")


def _wasted(steps: Sequence[Step]) -> list[bool]:
    seen: set[tuple[bytes, str]] = set()
    said: set[str] = set()
    found: list[bool] = []
    for step in steps:
        lost = step.failed or step.empty
        if step.kind == "tool":
            key = (same_call(step), step.text)
            lost |= key in seen and step.arguments is not None
            seen.add(key)
        elif step.kind == "model" and len(step.text) >= _LEAST_CHARACTERS:
            lost |= step.text in said
            said.add(step.text)
        found.append(lost and step.kind != "user")
    return found


def _all_wasted(steps: Sequence[Step], wasted: Sequence[bool], start: int) -> bool:
    """Whether the steps from `start` to the next turn are some, and all wasted."""
    at = start
    while at < len(steps) and steps[at].acts:
        if not wasted[at]:
            return False
        at += 1
    return at > start


def _why(step: Step) -> str:
    return "failed" if step.failed else "empty" if step.empty else "repeated"
