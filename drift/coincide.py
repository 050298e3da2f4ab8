"""What else changed when a level did: values that are new since the onset, gone, or have another part of the traffic.

That something changed then does not make it the cause. It is what a person would ask first.

A value is told if its part of the traffic before and after differs by at least .02 and by four standard errors of
Cohen's h (1988, 6.2.1: 2 asin(sqrt(after)) - 2 asin(sqrt(before))), as there are many values to look at. What was
folded into `other` is not told. Values are in order of nearness * |after - before|, where nearness is

    1 / (1 + distance / max(width of the onset's interval, one minute))

with the distance in time from that interval to the first trace with a value that is new, or to the last with one that
is gone; and one half for values that were there before and after.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import asin, sqrt
from typing import Literal, TypeAlias

from drift.model import Coincidence
from drift.moved import EVALUATOR, SAMPLING
from drift.provenance import PREFIX, TOLD, is_provenance
from drift.recent import OTHER, Mix, Record

How: TypeAlias = Literal["new", "gone", "more", "less"]

_MOST = 8
_LEAST_DIFFERENCE = 0.02
_LEAST_ERRORS = 4.0
_LEAST_POINTS = 5.0
_LEAST_PAST = 10  # points before a value came
_STEADY_NEARNESS = 0.5
_LEAST_WIDTH_NS = 60_000_000_000
_NEXT_TO_NOTHING = 1e-9
_NEXT_TO_NONE = 0.05


def coincidences(
    before: Mix,
    after: Mix,
    points: tuple[float, float],
    records: Sequence[Record],
    onset: tuple[int, int],
    known: Iterable[Coincidence] = (),
) -> list[Coincidence]:
    """See the module.

    Args:
        before: traffic before the onset, `after` since.
        points: how many there are before and after, in effect.
        records: the newest, oldest first, from before and after.
        onset: the ends of its interval, in nanoseconds.
        known: as told before: its times, where the records no longer reach back to them.
    """
    if min(points) < _LEAST_POINTS:
        return []
    times = {(one.kind, one.value): one.at_ns for one in known}
    every: list[Coincidence] = []
    for attribute in sorted(after.values.keys() | before.values.keys()):
        if attribute in (EVALUATOR, SAMPLING) or (is_provenance(attribute) and attribute != TOLD[0]):
            found = _of_attribute(before, after, attribute, points)
            found = [_seen_late(one, attribute, before, after, records, onset[0]) for one in found]
            every += [_timed(one, attribute, records, onset, times) for one in found]
    every.sort(key=lambda one: (-_rank(one, onset), one.how != "new", one.kind, one.value))
    return every[:_MOST]


def _of_attribute(before: Mix, after: Mix, attribute: str, points: tuple[float, float]) -> list[Coincidence]:
    total_was, total_now = _total(before, attribute), _total(after, attribute)
    if total_was <= 0 or total_now <= 0:  # of one side it is not known: it was not told then
        return []
    was, now = before.values.get(attribute, {}), after.values.get(attribute, {})
    found: list[Coincidence] = []
    for value in sorted((was.keys() | now.keys()) - {OTHER}):
        a, b = (
            part[value][0] / total if value in part else 0.0 for part, total in ((was, total_was), (now, total_now))
        )
        a, b = min(a, 1.0), min(b, 1.0)
        h = 2.0 * (asin(sqrt(b)) - asin(sqrt(a)))
        if abs(b - a) >= _LEAST_DIFFERENCE and abs(h) >= _LEAST_ERRORS * sqrt(1.0 / points[0] + 1.0 / points[1]):
            kind = attribute.removeprefix(PREFIX)
            found.append(Coincidence(kind, value, _how(a, b, was, now), a, b, None))
    return found


def _total(mix: Mix, attribute: str) -> float:
    """The traffic of which an attribute could be known: all that tells what made it, or has the attribute."""
    if is_provenance(attribute):
        name, value = TOLD
        return mix.values.get(name, {}).get(value, [0.0])[0]
    return sum(entry[0] for entry in mix.values.get(attribute, {}).values())


def _how(a: float, b: float, was: dict[str, list[float]], now: dict[str, list[float]]) -> How:
    """A value may hide in `other`, so where there is one, none is new or gone."""
    if a <= _NEXT_TO_NOTHING and OTHER not in was:
        return "new"
    if b <= _NEXT_TO_NOTHING and OTHER not in now:
        return "gone"
    return "more" if b > a else "less"


def _seen_late(
    one: Coincidence, attribute: str, before: Mix, after: Mix, records: Sequence[Record], low_ns: int
) -> Coincidence:
    """New, if it came shortly before the onset, which is an estimate and may be late.

    That is so if next to none came before, the records hold every point that had the value, and from the first of them
    on it had at least half of the part of the traffic that it has since.
    """
    was, now = before.values.get(attribute, {}), after.values.get(attribute, {})
    if one.how != "more" or one.before > _NEXT_TO_NONE or OTHER in was:
        return one
    pair = attribute, one.value
    places = [place for place, record in enumerate(records) if pair in record[4]]
    held = sum(records[place][2] for place in places)
    every = was[one.value][0] + now[one.value][0]
    if not places or places[0] < _LEAST_PAST or held < every * (1.0 - _NEXT_TO_NOTHING):
        return one
    early = sum(records[place][0] < low_ns for place in places)
    among = sum(record[0] < low_ns for record in records[places[0] :])
    return replace(one, how="new") if early >= 0.5 * one.after * among else one


def _timed(
    one: Coincidence,
    attribute: str,
    records: Sequence[Record],
    onset: tuple[int, int],
    told: dict[tuple[str, str], int | None],
) -> Coincidence:
    """With the time at which a new value was first seen, or one that is gone last.

    As the onset is an estimate, a value that was last seen within its interval is gone too.
    """
    if one.how == "more":
        return one
    pair = attribute, one.value
    ordered = records if one.how == "new" else reversed(records)
    seen_ns = next((record[0] for record in ordered if pair in record[4]), None)
    known_ns = told.get((one.kind, one.value))
    at_ns = known_ns if seen_ns is None or (known_ns is not None and one.how == "new") else seen_ns
    if one.how == "less":
        return replace(one, how="gone", at_ns=at_ns) if at_ns is not None and at_ns <= onset[1] else one
    return replace(one, at_ns=at_ns)


def _rank(one: Coincidence, onset: tuple[int, int]) -> float:
    nearness = _STEADY_NEARNESS
    if one.at_ns is not None:
        low, high = onset
        distance = max(low - one.at_ns, one.at_ns - high, 0)
        nearness = 1.0 / (1.0 + distance / max(high - low, _LEAST_WIDTH_NS))
    return nearness * abs(one.after - one.before)
