"""Where a change sits: the slice values that carry it, and the traces to open.

The difference of the weighted means is split over the values of one attribute at a time, in the way of Kitagawa
(1955) and Oaxaca (1973), held against the mean before, M:

    after - before = sum over values of   (b - a)(m - M)   +   b (n - m)
                                          mix: its traffic     within: its own level

with a, b a value's share of the traffic before and after, m, n its level before and after. A value that is new since
the onset had no level: all of its part, b (n - M), is mix. So a new version that fails carries the whole change, and
the one it replaced carries none.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from heapq import nsmallest

from drift.base import Carrier, Shift
from drift.moved import SAMPLING
from drift.provenance import is_provenance
from drift.recent import OTHER, Mix, Record, Slices

_MOST_CARRIERS = 8
_LEAST_SHARE = 0.1
_LEAST_EXCESS = 0.15  # less is what chance gives
_MOST_TRACES = 5
_CONTRAST_AMONG = 256  # points before the onset: further back much else was different


def carriers(before: Mix, after: Mix, fixed: Collection[str], to_unit: Callable[[float], float]) -> list[Carrier]:
    """The slice values that carry a change, those that tell most first.

    Args:
        before: the traffic before the onset.
        after: the traffic since.
        fixed: attributes that define the series, which all of its points share.
        to_unit: from [0, 1] to the metric's unit.
    """
    found: list[Carrier] = []
    for attribute in sorted(after.values.keys() - set(fixed) - {SAMPLING}):
        if is_provenance(attribute):
            continue
        found += _of_attribute(attribute, before.values.get(attribute, {}), after.values[attribute], to_unit)
    found = [carrier for carrier in found if carrier.share >= _LEAST_SHARE and _tells(carrier)]
    found.sort(key=lambda c: (not c.is_new, -c.share if c.is_new else -_excess(c), -c.traffic, c.attribute, c.value))
    return found[:_MOST_CARRIERS]


def worst(after: Sequence[Record], direction: Shift, top: Sequence[Carrier]) -> list[str]:
    """Traces since the onset that went furthest the wrong way, those of the first carrier before others."""
    sign = 1.0 if direction == "down" else -1.0
    pair = (top[0].attribute, top[0].value) if top else None
    ranked = nsmallest(
        8 * _MOST_TRACES,
        enumerate(after),
        key=lambda item: (sign * item[1][1], pair is not None and pair not in item[1][4], -item[0]),
    )
    return _distinct(record for _, record in ranked)


def typical(after: Sequence[Record], level: float, top: Sequence[Carrier]) -> list[str]:
    """Traces since the onset that are nearest to the level after, those of the first carrier before others."""
    pair = (top[0].attribute, top[0].value) if top else None
    ranked = nsmallest(
        8 * _MOST_TRACES,
        enumerate(after),
        key=lambda item: (pair is not None and pair not in item[1][4], abs(item[1][1] - level), -item[0]),
    )
    return _distinct(record for _, record in ranked)


def contrast(
    before: Sequence[Record], direction: Shift, level: float, after: Sequence[Record] = (), like: Collection[str] = ()
) -> list[str]:
    """Traces before the onset that were as good as usual or better: those with most slices in common with the first of
    the worst (`like`, of `after`), of equals the last before the onset."""
    sign = 1.0 if direction == "down" else -1.0
    first = next(iter(like), None)
    model = frozenset(next((record[4] for record in after if record[3] == first), ()))
    good = [record for record in before[-_CONTRAST_AMONG:] if sign * (record[1] - level) >= 0]
    good = good or [record for record in before if sign * (record[1] - level) >= 0]
    shared: dict[Slices, int] = {}
    for record in good:
        if record[4] not in shared:
            shared[record[4]] = sum(pair in model for pair in record[4])
    ranked = nsmallest(8 * _MOST_TRACES, enumerate(good), key=lambda item: (-shared[item[1][4]], -item[0]))
    return _distinct(record for _, record in ranked)


def _of_attribute(
    attribute: str,
    before: dict[str, list[float]],
    after: dict[str, list[float]],
    to_unit: Callable[[float], float],
) -> list[Carrier]:
    weight_before, weight_after = (sum(e[0] for e in part.values()) for part in (before, after))
    if weight_before <= 0 or weight_after <= 0 or len(before.keys() | after.keys()) < 2:
        return []  # one value for all says nothing
    level_before, level_after = (
        sum(e[1] for e in part.values()) / weight for part, weight in ((before, weight_before), (after, weight_after))
    )
    difference = level_after - level_before
    if abs(difference) < 1e-9:
        return []
    parts: list[Carrier] = []
    for value, (weight, total) in after.items():
        was = before.get(value)
        b, n = weight / weight_after, total / weight
        a, m = (was[0] / weight_before, was[1] / was[0]) if was else (0.0, level_before)
        mix, within = ((b - a) * (m - level_before), b * (n - m)) if was else (b * (n - level_before), 0.0)
        parts.append(
            Carrier(
                attribute,
                value,
                share=(mix + within) / difference,
                before=to_unit(m) if was else None,
                after=to_unit(n),
                is_new=was is None and value != OTHER and OTHER not in before,
                mix=mix / difference,
                within=within / difference,
                traffic=b,
            )
        )
    return parts


def _tells(carrier: Carrier) -> bool:
    """Whether the value is new, or carries clearly more than it would if it were like all others."""
    return carrier.is_new or _excess(carrier) >= _LEAST_EXCESS


def _excess(carrier: Carrier) -> float:
    """What the value carries over its due: none by traffic that moved, its part of the traffic by its own level."""
    return max(carrier.mix, carrier.within - carrier.traffic)


def _distinct(records: Iterable[Record]) -> list[str]:
    traces: list[str] = []
    for record in records:
        if record[3] and record[3] not in traces:
            traces.append(record[3])
        if len(traces) == _MOST_TRACES:
            break
    return traces
