"""What the watcher shows to Prometheus. Label sets are fixed: a slice is one label, `service=shop,version=2`."""

from collections.abc import Iterable

from collector.core.telemetry import Gauge, Telemetry
from drift.plan import Plan
from drift.series import Series, slice_text

_LABELS = ("monitor", "metric", "slice")
_FOLD = ("slice",)
_HOUR_NS = 3600 * 10**9
_HUSH_NS = _HOUR_NS // 12  # between two looks for series that went silent


class Gauges:
    def __init__(self, telemetry: Telemetry) -> None:
        declare = telemetry.gauge
        self._active = declare(
            "driftline_change_active", "1 while a detected change of the series lasts", _LABELS, fold=_FOLD
        )
        self._paged = declare(
            "driftline_change_paged",
            "1 while a detected change of the series lasts that is a page, large enough and not part of another's",
            _LABELS,
            fold=_FOLD,
        )
        self._evidence = declare(
            "driftline_change_evidence_ratio",
            "Evidence for a change over the threshold at which it is one",
            _LABELS,
            unit="ratio",
            fold=_FOLD,
        )
        self._onset = declare(
            "driftline_change_onset_timestamp_seconds",
            "When the active change began, by estimate",
            _LABELS,
            unit="seconds",
            fold=_FOLD,
        )
        self._size = declare(
            "driftline_change_size_ratio",
            "Level after minus level before the active change, as a part of the score's range; of a typical value, "
            "as a part of the level before",
            _LABELS,
            unit="ratio",
            fold=_FOLD,
        )
        self._estimate, self._lower, self._upper = (
            declare(f"driftline_estimate{part}_ratio", help_text, _LABELS, unit="ratio", fold=_FOLD)
            for part, help_text in (
                ("", "Weighted mean or pass rate over the last hour of event time, as a part of the score's range"),
                ("_lower", "Lower end of the 95% interval of driftline_estimate_ratio"),
                ("_upper", "Upper end of the 95% interval of driftline_estimate_ratio"),
            )
        )
        self._typical, self._typical_lower, self._typical_upper = (
            declare(f"driftline_typical_value{part}", help_text, _LABELS, fold=_FOLD)
            for part, help_text in (
                (
                    "",
                    "Typical value over the last hour of event time of a metric without a range, in the metric's unit",
                ),
                ("_lower", "Lower end of the 95% interval of driftline_typical_value"),
                ("_upper", "Upper end of the 95% interval of driftline_typical_value"),
            )
        )
        self._count = declare("driftline_series", "Series that the monitor watches", ("monitor",))
        self._budget = declare(
            "driftline_false_page_budget_spent", "Expected number of false pages so far, at most, by construction"
        )

        self._counted: dict[str, int] = {}
        self._spent = 0.0
        self._hushed_ns = 0

    def show(self, series: Iterable[Series], now_ns: int) -> None:
        for one in series:
            plan, status = one.plan, one.describe(now_ns)
            labels = (plan.name, plan.metric, slice_text(one.slices))
            self._evidence.set(min(status.evidence / status.threshold, 1e9), *labels)
            level = status.level
            for gauge, value in zip(self._levels(plan), (level.value, level.lower, level.upper), strict=True):
                if level.n > 0:
                    gauge.set((value - plan.scale.low) / plan.scale.span if plan.scale else value, *labels)
                else:
                    gauge.remove(*labels)  # no data is not a level
            self._active.set(float(one.episode is not None), *labels)
            self._paged.set(float(one.episode is not None and one.episode.change.paged), *labels)
            if one.episode is not None:
                self._onset.set(one.episode.change.onset_ns / 1e9, *labels)
                change = one.episode.change
                self._size.set(one.episode.scale.part(change.size.value, change.before.value), *labels)
            else:
                self._onset.remove(*labels)
                self._size.remove(*labels)

    def hush(self, series: Iterable[Series], now_ns: int) -> None:
        """Show no level of those that had no point in the last hour of event time; asked now and then."""
        if now_ns - self._hushed_ns < _HUSH_NS and now_ns >= self._hushed_ns:
            return
        self._hushed_ns = now_ns
        for one in series:
            if now_ns - one.last_ns >= _HOUR_NS:
                for gauge in self._levels(one.plan):
                    gauge.remove(one.plan.name, one.plan.metric, slice_text(one.slices))

    def forget(self, series: Series) -> None:
        labels = (series.plan.name, series.plan.metric, slice_text(series.slices))
        for gauge in (self._active, self._paged, self._evidence, self._onset, self._size, *self._levels(series.plan)):
            gauge.remove(*labels)

    def _levels(self, plan: Plan) -> tuple[Gauge, Gauge, Gauge]:
        if plan.scale is None:
            return self._typical, self._typical_lower, self._typical_upper
        return self._estimate, self._lower, self._upper

    def count(self, monitor: str, series: int) -> None:
        """How many series this watcher has of a monitor; others of the process have some too."""
        self._count.add(series - self._counted.get(monitor, 0), monitor)
        self._counted[monitor] = series

    def spent(self, pages: float) -> None:
        """What this watcher has spent."""
        self._budget.add(pages - self._spent)
        self._spent = pages
