"""Whether an agent does what it said it would."""

import re
from collections.abc import Sequence
from itertools import islice

from collector.core.model import Trace
from collector.patterns import Sign
from scorers.base import Score, scorer
from scorers.steps import Step, steps_of
from scorers.text import read

_MOST_ITEMS = 30
_PLAN_CHARACTERS = 8_000
_STEP_CHARACTERS = 8_000
_SPEAKS_OF_A_PLAN = Sign(r"\b(?:plan|steps?|to-?do|first|i will|i'll|let me)\b")
_ITEM = re.compile(r"^[ \t]*(?:\d{1,2}[.)]|[-*•]|\[[ x]\])[ \t]+(\S.*)$", re.MULTILINE)


@scorer(name="plan_adherence", needs=("llm_calls", "tools_used"), range=(0, 1), version="1")
def plan_adherence(trace: Trace, *, share: float = 0.5) -> Score | None:
    """Share of the items of a stated plan that a later step takes up. Nothing is said where no plan is stated.

    A plan is the first turn of the model that speaks of one, has a list of at least two items and is followed by a tool
    run or a retrieval. A step takes an item up if its words, name and arguments hold `share` of the item's content
    words. Wrong on: items done in other words, which count as left out; a step that speaks of an item and does not do
    it; plans that are rightly changed; lists that are no plan.
    """
    steps = steps_of(trace)
    stated = next((at for at, step in enumerate(steps) if _items(step) and _acts_later(steps, at)), None)
    if stated is None:
        return None
    items = [terms for item in _items(steps[stated]) if (terms := read(item).terms)]
    if len(items) < 2:
        return None
    later = [_terms(step) for step in steps[stated + 1 :] if step.kind != "user"]
    left = [at for at, item in enumerate(items) if not any(len(item & done) >= share * len(item) for done in later)]
    told = f", not item {', '.join(str(at + 1) for at in left[:5])}" if left else ""
    return Score(
        round(1 - len(left) / len(items), 6),
        explanation=f"{len(items) - len(left)} of {len(items)} items of the plan in step {stated} are taken up{told}",
    )


def _items(step: Step) -> list[str]:
    if step.kind != "model":
        return []
    text = step.text[:_PLAN_CHARACTERS]
    if not _SPEAKS_OF_A_PLAN.occurs(text):
        return []
    found = [match[1] for match in islice(_ITEM.finditer(text), _MOST_ITEMS)]
    return found if len(found) >= 2 else []


def _acts_later(steps: Sequence[Step], at: int) -> bool:
    return any(step.acts for step in steps[at + 1 :])


def _terms(step: Step) -> frozenset[str]:
    name = step.name.replace("_", " ").replace(".", " ")
    arguments = "" if step.arguments is None else str(step.arguments)[:_STEP_CHARACTERS]
    return read(step.text[:_STEP_CHARACTERS]).terms | read(f"{name} {arguments}").terms
