"""What moved when a level did: the application, its traffic, the evaluator, or the sampling.

Told from what is seen of each point, and by these rules, of which the first that holds counts:

- *evaluator*: at least half of the points since the onset come of evaluators that gave none before it.
- *sampling*: at least half of the traffic since the onset was sampled at rates that were not seen before it, and so low
  that the weights had to be capped. (Sampling that changes otherwise is weighed out, and no reason.)
- *traffic*: at least .6 of the difference is explained by how traffic is spread over the values of one attribute, each
  at the level that it had before (the mix part of `drift.attribute`), where no value is new.
- *application* otherwise; *unclear* with fewer than 20 points.

It cannot tell what no attribute shows: questions that grew harder look like an application that got worse. An evaluator
behind an address, which changes without its configuration, looks so too.
"""

from collections.abc import Collection
from typing import Literal, TypeAlias

from drift.provenance import is_provenance
from drift.recent import OTHER, Mix

EVALUATOR, SAMPLING = "evaluator", "sampling"
"""Attributes that hold the evaluator's id and the sampling rate in the records of a series."""

Moved: TypeAlias = Literal["application", "traffic", "evaluator", "sampling", "unclear"]

_LEAST_POINTS = 20
_LEAST_NEW = 0.5
_LEAST_MIX = 0.6
_NEW_TRAFFIC = 0.1
_LEAST_KNOWN = 0.02
_MOST_EVALUATORS = 8


def what_moved(before: Mix, after: Mix, points: int, cap: float, fixed: Collection[str]) -> Moved:
    """See the module.

    Args:
        before: traffic before the onset, `after` since.
        points: how many there are since the onset.
        cap: the weight over which points are capped.
        fixed: attributes that define the series.
    """
    if points < _LEAST_POINTS:
        return "unclear"
    if _new_part(before, after, EVALUATOR) >= _LEAST_NEW:
        return "evaluator"
    if _capped_part(before, after, cap) >= _LEAST_NEW:
        return "sampling"
    others = after.values.keys() - set(fixed) - {EVALUATOR, SAMPLING}
    attributes = [name for name in others if not is_provenance(name)]  # of those a trace may have several values
    if any(mix_part(before, after, attribute) >= _LEAST_MIX for attribute in attributes):
        return "traffic"
    return "application"


def mix_part(before: Mix, after: Mix, attribute: str) -> float:
    """The part of the difference that the spread of traffic over an attribute's values explains; 0 if some are new."""
    was, now = before.values.get(attribute, {}), after.values.get(attribute, {})
    total_was, total_now = (sum(entry[0] for entry in part.values()) for part in (was, now))
    if total_was <= 0 or total_now <= 0 or _new_part(before, after, attribute) >= _NEW_TRAFFIC:
        return 0.0
    level_was, level_now = (
        sum(entry[1] for entry in part.values()) / total for part, total in ((was, total_was), (now, total_now))
    )
    if abs(level_now - level_was) < 1e-9:
        return 0.0
    by_mix = sum(
        (now.get(value, (0.0, 0.0))[0] / total_now - weight / total_was) * (wx / weight - level_was)
        for value, (weight, wx) in was.items()
        if weight > 0
    )
    return by_mix / (level_now - level_was)


def evaluators(mix: Mix) -> list[str]:
    """Of traffic, those of most of it first; those of a few points may be of the other side of an onset."""
    known, parts = _known(mix, EVALUATOR), mix.values.get(EVALUATOR, {})
    return sorted(known, key=lambda evaluator: (-parts[evaluator][0], evaluator))[:_MOST_EVALUATORS]


def _new_part(before: Mix, after: Mix, attribute: str) -> float:
    """The part of an attribute's traffic since the onset whose values had next to none before."""
    was, now = _known(before, attribute), after.values.get(attribute, {})
    total = sum(entry[0] for entry in now.values())
    if total <= 0 or not was or OTHER in was:
        return 0.0
    return sum(entry[0] for value, entry in now.items() if value not in was and value != OTHER) / total


def _known(before: Mix, attribute: str) -> set[str]:
    """The values from before the onset; those of a few points may be from after it, as the onset is an estimate."""
    was = before.values.get(attribute, {})
    least = _LEAST_KNOWN * sum(entry[0] for entry in was.values())
    return {value for value, entry in was.items() if entry[0] > least}


def _capped_part(before: Mix, after: Mix, cap: float) -> float:
    """The part of the traffic since the onset, at full weights, whose rates are new and have weights over the cap."""
    was = _known(before, SAMPLING)
    if not was or OTHER in was:
        return 0.0
    total = capped = 0.0
    for text, (weight, _) in after.values.get(SAMPLING, {}).items():
        if text == OTHER:
            continue
        full = 1.0 / float(text)
        traffic = weight / min(full, cap) * full
        total += traffic
        if full > cap and text not in was:
            capped += traffic
    return capped / total if total > 0 else 0.0
