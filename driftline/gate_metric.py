"""What of a scorer two versions are compared by: its pass rate, the share within a limit, or the mean of its values.

A metric is written `refusal`, `latency<=2.5` or `mean(groundedness)`, each with `:MARGIN` or without. `parse_metric`
reads it, `known_metric` holds it against the scorers there are.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

from collector.core.errors import UserError
from scorers.base import Better

DEFAULT_MARGIN = 0.03
Statistic: TypeAlias = Literal["pass_rate", "share", "mean"]
_MEAN = re.compile(r"mean\((.*)\)")
_SHAPE = (
    "is not SCORER or SCORER:MARGIN with a margin from 0 on and below 1, where SCORER may be SCORER<=LIMIT or "
    "SCORER>=LIMIT, or mean(SCORER) with a margin in the scorer's unit"
)


class Comparable(NamedTuple):
    """A scorer as a comparison sees it: `low` and `high` bound its values (infinite: they do not)."""

    name: str
    judges: bool
    has_values: bool
    low: float
    high: float
    better: Better

    @property
    def bounded(self) -> bool:
        return self.has_values and math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A scorer, and how much worse a version may be by it.

    The margin is a part of all traces for the statistics `pass_rate` and `share`, and in the scorer's unit for `mean`.
    With `sense` ("<=" or ">="), a value passes that is at most or at least `limit`, in the scorer's unit. `low`, `high`
    and `better` are the scorer's, and matter to means.
    """

    scorer: str
    margin: float
    sense: str = ""
    limit: float | None = None
    statistic: Statistic = "pass_rate"
    low: float = 0.0
    high: float = 1.0
    better: Better = "higher"

    @property
    def name(self) -> str:
        """What is compared, without the margin.

        >>> [parse_metric(text).name for text in ("refusal:0.02", "latency<=2.50", "mean(groundedness):0.1")]
        ['refusal', 'latency<=2.5', 'mean(groundedness)']
        """
        if self.statistic == "mean":
            return f"mean({self.scorer})"
        return self.scorer if self.limit is None else f"{self.scorer}{self.sense}{self.limit:g}"

    @property
    def unit_margin(self) -> float:
        """The margin as a part of what values range over."""
        return self.margin / (self.high - self.low) if self.statistic == "mean" else self.margin

    @property
    def shown_better(self) -> Better:
        """Which level is better: of a share that passes, always the higher."""
        return self.better if self.statistic == "mean" else "higher"

    def good(self, scores: Sequence[Mapping[str, Any]]) -> float | None:
        """How good the scores of one trace are together, in [0, 1] with more being better; None if they do not tell.

        Of several operations, all have to pass; a mean takes theirs.
        """
        if self.statistic == "mean":
            values = [value for score in scores if (value := score.get("value")) is not None]
            known = [value for value in values if self.low <= value <= self.high]
            return self._as_good(math.fsum(known) / len(known)) if known else None
        passed = [one for score in scores if (one := self._passes(score)) is not None]
        return float(all(passed)) if passed else None

    def level(self, good: float) -> float:
        """A mean of `good`, as people know it: a rate, or in the scorer's unit."""
        if self.statistic != "mean":
            return good
        span = (self.high - self.low) * good
        return self.low + span if self.better == "higher" else self.high - span

    def ends(self, lower: float, upper: float) -> tuple[float, float]:
        """An interval of a difference of `good`, as people know it, its lower end first."""
        if self.statistic != "mean":
            return lower, upper
        span = self.high - self.low
        return (lower * span, upper * span) if self.better == "higher" else (-upper * span, -lower * span)

    def _as_good(self, value: float) -> float:
        part = min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
        return part if self.better == "higher" else 1.0 - part

    def _passes(self, score: Mapping[str, Any]) -> bool | None:
        """None if this score does not tell."""
        if self.limit is None:
            return None if score["passed"] is None else bool(score["passed"])
        value = score.get("value")
        if value is None or math.isnan(value):
            return None
        return bool(value <= self.limit if self.sense == "<=" else value >= self.limit)


def parse_metric(text: str) -> Wanted:
    """`refusal`, `refusal:0.02`, `latency<=2.5`, `latency<=2.5:0.02`, `mean(groundedness)`, `mean(groundedness):0.02`.

    Raises:
        UserError: the margin is not a number from 0 on (of shares: below 1), or the limit is no finite number.
    """
    name, _, after = text.partition(":")
    mean = _MEAN.fullmatch(name)
    sense = "" if mean else next((one for one in ("<=", ">=") if one in name), "")
    scorer, _, bound = (mean[1], "", "") if mean else name.partition(sense) if sense else (name, "", "")
    try:
        margin = float(after) if after else DEFAULT_MARGIN
        limit = float(bound) if sense else None
    except ValueError:
        margin, limit = -1.0, None
    most = math.inf if mean else 1.0
    if not scorer or not 0 <= margin < most or (limit is not None and not math.isfinite(limit)):
        raise UserError(f"metric: {text!r} {_SHAPE}")
    if not mean:
        return Wanted(scorer, margin, sense, limit, "share" if sense else "pass_rate")
    return Wanted(scorer, margin if after else math.nan, statistic="mean")


def known_metric(wanted: Wanted, scorers: Iterable[Comparable], where: str = "metric: ") -> Wanted:
    """The same, with what its scorer says of its values; a mean without a margin gets 0.03 of their range.

    Raises:
        UserError: there is no such scorer, or it is not suited; says which are. The message begins with `where`.
    """
    every = list(scorers)
    found = next((one for one in every if one.name == wanted.scorer), None)
    if found is None:
        raise UserError(f"{where}{wanted.scorer!r} is not one of the scorers ({_names(every)})")
    if problem := _unsuited(wanted, found, every):
        raise UserError(where + problem)
    if wanted.statistic != "mean":
        return wanted
    span = found.high - found.low
    margin = DEFAULT_MARGIN * span if math.isnan(wanted.margin) else wanted.margin
    if margin >= span:
        raise UserError(f"{where}mean({found.name}): margin {margin:g} is not below {span:g}, what values range over")
    return replace(wanted, margin=margin, low=found.low, high=found.high, better=found.better)


def _unsuited(wanted: Wanted, found: Comparable, every: Sequence[Comparable]) -> str:
    """Why a scorer cannot be compared like that, and which can; empty if it can."""
    if wanted.statistic == "pass_rate":
        if found.judges:
            return ""
        instead = f"; give it `passing`, or compare {_by_value(found)}" if found.has_values else ""
        return f"{found.name!r} is not one of the scorers that judge ({_names(o for o in every if o.judges)}){instead}"
    if not found.has_values:
        valued = _names(one for one in every if one.has_values)
        return f"{found.name!r} gives labels and no values; scorers with values are {valued}"
    if wanted.statistic == "mean" and not found.bounded:
        bounded = _names(one for one in every if one.bounded)
        return (
            f"mean({found.name}): its values have no bounds, so that nothing can be promised of their mean; compare "
            f"{_by_value(found)}; scorers with bounds are {bounded}"
        )
    return ""


def _by_value(found: Comparable) -> str:
    if found.bounded:
        return f"mean({found.name})"
    return f"the share within a limit, such as {found.name}{'<=' if found.better == 'lower' else '>='}10"


def _names(scorers: Iterable[Comparable]) -> str:
    return ", ".join(sorted(one.name for one in scorers)) or "none"
