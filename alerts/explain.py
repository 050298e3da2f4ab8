"""A change in plain words: what moved, since when, by how much, who carries it, what is new, where to look, how sure.

Written for somebody woken at night: rates in percent and percentage points, times in UTC to the minute, no jargon. Only
numbers, names of slices and ids of traces are used; the content of traces never enters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from urllib.parse import quote

from alerts.changed_then import changed_then, named
from alerts.plain import clean, minute
from drift.base import RATES, Carrier, Change, Companion, Estimate

NAMED_CARRIERS = 3
_NAMED_COMPANIONS = 5
_ENDINGS = {
    "recovered": "back to its old level of about {before}",
    "adopted": "has stayed at {after}, which is now taken as normal",
    "no_data": "no more data, so it is no longer watched",
    "reconfigured": "no longer watched in this way, by a change of configuration",
}
_STATISTICS = {"pass_rate": "pass rate of", "mean": "mean of", "typical": "typical", "share": "share of"}
_MOVED = {
    "application": "The application itself moved, most likely: nothing seen of traffic, evaluator or sampling tells of "
    "it.",
    "traffic": "The traffic moved: at the levels of before, what comes more and what comes less explains most of it.",
    "evaluator": "The evaluator is another since then: it may be the scores that moved, not the application.",
    "sampling": "The sampling is another since then, and weights had to be capped: the levels may be off.",
}
LINKED_TRACES = 3


@dataclass(frozen=True, slots=True)
class Wording:
    """What the words need to know besides the change itself.

    `trace_url` and `change_url` are addresses with `{trace_id}` and `{change_id}` in them; `units` gives the unit of a
    metric that is no rate, such as {"latency": "seconds"}.
    """

    trace_url: str | None = None
    change_url: str | None = None
    runbook_url: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """One sentence for each question that a page raises; an empty one has no answer."""

    summary: str
    what: str
    since: str
    carried_by: str
    moved: str
    new_then: str
    found_with: str
    look_at: str
    sure: str
    first: str

    @property
    def description(self) -> str:
        happened = (self.what, self.since, self.carried_by, self.moved, self.new_then, self.found_with)
        parts = (*happened, self.sure, self.first, self.look_at)
        return "\n".join(part for part in parts if part)


def explain(change: Change, wording: Wording) -> Explanation:
    """The change as it stands, in words; resolved if it is."""
    measure = _Measure(change, wording, change.size.value)
    return Explanation(
        summary=_summary(change, measure),
        what=_what(change, measure),
        since=_since(change),
        carried_by=_carried_by(change, measure),
        moved=_MOVED.get(change.moved, ""),
        new_then=changed_then(change, NAMED_CARRIERS + 1),
        found_with=_found_with(change, wording),
        look_at=_look_at(change, wording),
        sure=_sure(change),
        first=_first(change),
    )


def trace_links(trace_ids: Sequence[str], wording: Wording) -> list[str]:
    """The first traces to open: as addresses if it is known where traces are shown, as ids if not."""
    ids = [clean(trace_id) for trace_id in trace_ids[:LINKED_TRACES]]
    if wording.trace_url is None:
        return ids
    return [wording.trace_url.replace("{trace_id}", quote(trace_id, safe="")) for trace_id in ids]


class _Measure:
    """How values of the changed series are written: a rate in percent, anything else in its unit."""

    def __init__(self, change: Change | Companion, wording: Wording, size: float) -> None:
        self.is_rate = change.statistic in RATES
        self.unit = "" if self.is_rate else clean(wording.units.get(change.metric, ""))
        label = f" {clean(change.slice.get(change.metric, ''))}" if change.statistic == "share" else ""
        self.name = f"{_STATISTICS[change.statistic]} {clean(change.metric)}{label}"
        self.digits = 2 if self.is_rate and 0 < abs(size) < 0.01 else 1

    def value(self, value: float | None) -> str:
        if value is None or not isfinite(value):
            return "unknown"
        if self.is_rate:
            return f"{100 * value:.{self.digits}f}%"
        return " ".join(part for part in (f"{value:.4g}", self.unit) if part)

    def size(self, size: Estimate, which_way: str) -> str:
        """The distance, without its sign: `13.2 percentage points lower (95% interval 10.1 to 16.3)`."""
        if not isfinite(size.value):
            return f"{which_way} by an unknown amount"
        sign = -1 if size.value < 0 else 1
        low, high = sorted((sign * size.lower, sign * size.upper))
        if self.is_rate:
            digits = self.digits
            value, low_text, high_text = (f"{100 * x:.{digits}f}" for x in (sign * size.value, low, high))
            unit = "percentage points"
        else:
            value, low_text, high_text = (f"{x:.3g}" for x in (sign * size.value, low, high))
            unit = self.unit
        interval = f"(95% interval {low_text} to {high_text})" if isfinite(low) and isfinite(high) else ""
        return " ".join(part for part in (value, unit, which_way, interval) if part)


def slice_words(slices: Mapping[str, str]) -> str:
    """The slice of a series: `service shop, version 2.4`; empty for the whole.

    >>> slice_words({"service": "shop", "version": "2.4"})
    'service shop, version 2.4'
    """
    return ", ".join(f"{clean(name)} {clean(value)}" for name, value in slices.items())


def _where(change: Change | Companion) -> str:
    named = change.metric if change.statistic == "share" else None  # which label it is of is said before
    words = slice_words({name: value for name, value in change.slice.items() if name != named})
    return f" in {words}" if words else ""


def _summary(change: Change, measure: _Measure) -> str:
    before, after = measure.value(change.before.value), measure.value(change.after.value)
    if change.status == "resolved":
        ending = _ENDINGS.get(change.reason, "change is over").format(before=before, after=after)
        return f"{_sentence(measure.name)}{_where(change)}: {ending}"
    moved = f"{_sentence(measure.name)} {_verb(change)} from {before} to {after}"
    return f"{moved}{_where(change)}, since {minute(change.onset_ns)}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _verb(change: Change | Companion) -> str:
    return {"down": "fell", "up": "rose"}.get(change.direction, "moved")


def _what(change: Change, measure: _Measure) -> str:
    lower = {"down": "lower", "up": "higher"}.get(change.direction, "away")
    before, after = measure.value(change.before.value), measure.value(change.after.value)
    sentence = f"The {measure.name} {_verb(change)} from {before} to {after}{_where(change)}"
    return f"{sentence}: {measure.size(change.size, lower)}."


def _since(change: Change) -> str:
    low, high = minute(change.onset_low_ns), minute(change.onset_high_ns)
    between = "" if low == high else f", between {low} and {high},"
    sentence = f"It began at about {minute(change.onset_ns)}{between} and was found at {minute(change.detected_ns)}."
    if change.status == "resolved" and change.resolved_ns is not None:
        return f"{sentence} It was over at {minute(change.resolved_ns)}."
    return sentence


def _carried_by(change: Change, measure: _Measure) -> str:
    named = [carrier for carrier in change.carriers if isfinite(carrier.share)][:NAMED_CARRIERS]
    if not named:
        return "No slice stands out: it is spread over all traffic."
    return f"Carried by {'; '.join(_carrier(carrier, measure) for carrier in named)}."


def _carrier(carrier: Carrier, measure: _Measure) -> str:
    words = f"{clean(carrier.attribute)} {clean(carrier.value)} ({100 * carrier.share:.0f}% of the change"
    moved = f"from {measure.value(carrier.before)} to {measure.value(carrier.after)}"
    if carrier.is_new or carrier.before is None:
        moved = f"new, at {measure.value(carrier.after)}"
    elif carrier.after is None:
        moved = f"gone, was at {measure.value(carrier.before)}"
    if not carrier.is_new and abs(carrier.mix) > abs(carrier.within):
        return f"{words}, by its part of the traffic rather than its level: {moved})"
    return f"{words}, {moved})"


def _look_at(change: Change, wording: Wording) -> str:
    bad, good = trace_links(change.traces, wording), trace_links(change.contrast_traces, wording)
    typical = trace_links([one for one in change.typical_traces if one not in change.traces[:LINKED_TRACES]], wording)
    parts = []
    if bad:
        parts.append(f"Traces to open: {' '.join(bad)}")
    if typical:
        parts.append(f"Typical of what comes since: {' '.join(typical)}")
    if good:
        parts.append(f"To compare with, from before: {' '.join(good)}")
    return "\n".join(parts)


def _found_with(change: Change, wording: Wording) -> str:
    """The other changes that are part of this page."""
    told = []
    for one in change.companions[:_NAMED_COMPANIONS]:
        measure = _Measure(one, wording, one.after - one.before)
        before, after = measure.value(one.before), measure.value(one.after)
        told.append(f"{measure.name} {_verb(one)} from {before} to {after}{_where(one)}")
    if not told:
        return ""
    more = len(change.companions) - len(told)
    return f"Found with it, and part of this page: {'; '.join(told)}{f'; and {more} more' if more else ''}."


def _sure(change: Change) -> str:
    scores = f"It rests on {_count(change.before.n)} before and {_count(change.after.n)} since."
    if not (isfinite(change.evidence) and change.threshold > 0):
        return scores
    times = change.evidence / change.threshold
    text = f"{times:.1f}" if times < 1000 else "over 1000"
    sentence = f"The evidence is {text} times what a page needs (detector {clean(change.detector)}). {scores}"
    if change.clipped >= 0.01:
        sentence += (
            f" {100 * change.clipped:.0f}% of them came from very rare samples and count less than they should, "
            "so the size may be off."
        )
    return sentence


def _count(number: float) -> str:
    return f"{number:,.0f} scores" if isfinite(number) else "an unknown number of scores"


def _first(change: Change) -> str:
    if change.status == "resolved":
        return "Nothing to do now." if change.reason != "no_data" else "Check that the application still sends traces."
    if change.related:
        return f"Part of change {clean(change.related)}: start there."
    look = "open the traces below" if change.traces else "open traces of that time"
    if not change.carriers or not change.carriers[0].share >= 0.5:
        if change.coincidences:
            return f"What to do first: {look} and ask about {named(change.coincidences[0])}, which changed then."
        return (
            f"What to do first: {look} and look for what they share; a cause that all traffic has in common "
            "(model provider, retrieval index, a dependency) is likelier than a release."
        )
    top = change.carriers[0]
    name = f"{clean(top.attribute)} {clean(top.value)}"
    if top.is_new:
        return f"What to do first: {look}; if {name} is at fault, go back to what ran before it."
    return f"What to do first: {look} and ask what changed for {name} at that time."
