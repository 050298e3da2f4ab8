"""What a monitor's configuration comes to, once it is known what its scorer measures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from collector.core.errors import UserError
from collector.core.settings import Duration, Settings
from drift.base import Detector, Direction, Metric, Point, detector_factory
from drift.detectors.frozen import FrozenMean
from drift.reference import BaselineConfig, Reference, load_reference
from drift.scale import Scale

NANO = 10**9
_LAYOUT = 2  # of what a series has learned; what an older release learned is learned anew
_VECTOR_WARMUP = 1000
Statistic = Literal["mean", "pass_rate", "typical", "share"]


class MonitorConfig(Settings):
    """A rule that watches series: one metric, in each slice of `by`."""

    watch: str = Field(min_length=1, max_length=200, description="the scorer whose scores are watched")
    name: str | None = Field(None, min_length=1, max_length=200, description="the scorer's name if left out")
    by: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        (), max_length=8, description="slices; each prefix is watched too: [service, version] also watches [service]"
    )
    statistic: Literal["auto", "mean", "pass_rate", "typical", "share"] = Field(
        "auto",
        description="auto: the mean if the scorer's range is bounded, otherwise the pass rate; typical: a geometric "
        "mean with its extremes drawn in, for latency, tokens and cost; share: the part that each label has",
    )
    direction: Literal["auto", "down", "up", "both"] = Field("auto", description="auto: what is worse for this scorer")
    min_effect: float | None = Field(
        None,
        ge=0,
        le=10,
        description="least size worth a page, as a part of the scorer's range (0.03 if left out), of a typical value "
        "as a part of the level before (0.1 if left out); smaller is recorded",
    )
    warmup: int = Field(
        300,
        ge=20,
        le=2000,
        description="points that a series' first level is learned from; of vectors (1000 if left out) as many are "
        "needed before that for the clusters",
    )
    min_points: int = Field(10, ge=1, le=1000, description="points since the onset before a change is announced")
    detector: str = Field(
        "mean",
        min_length=1,
        description="mean, rank, shape, threshold, burn_rate, adwin, page_hinkley, kswin, ddm, hddm_a, hddm_w, or one "
        "of your own",
    )
    options: Mapping[str, Any] = Field(default_factory=dict, description="of the detector")
    baseline: BaselineConfig | None = Field(
        None, description="hold levels against scores from a file, for good; null: against what came before"
    )
    max_series: int = Field(200, ge=1, le=100_000, description="more slices than this are watched together as `other`")
    combinations: int = Field(
        1,
        ge=1,
        le=4,
        description="from 2 on: instead of prefixes, every combination of up to so many attributes of `by` is watched, "
        "within each value of its first",
    )
    max_combinations: int = Field(
        200,
        ge=1,
        le=10_000,
        description="combinations of two attributes or more that are watched: those met most",
    )
    max_labels: int = Field(8, ge=1, le=100, description="of `share`: more labels than this are watched as `other`")
    clusters: int = Field(16, ge=2, le=64, description="of vectors: into how many clusters the traffic is divided")
    adopt_after: Duration = Field(7 * 86400.0, ge=60, description="a change that lasts so long is the new normal")
    forget_after: Duration = Field(14 * 86400.0, ge=60, description="a series without points for so long is dropped")

    @property
    def title(self) -> str:
        return self.name or self.watch


@dataclass(frozen=True, slots=True)
class Plan:
    """One monitor, resolved. Values are watched on [0, 1], by `scale`; each series learns its own if that is None.

    `clusters` is 0 unless the metric is of vectors.
    """

    name: str
    metric: str
    by: tuple[str, ...]
    statistic: Statistic
    direction: Direction
    scale: Scale | None
    min_effect: float
    warmup: int
    min_points: int
    detector: str
    make: Callable[[], Detector]
    max_series: int
    max_labels: int
    clusters: int
    adopt_after_ns: int
    forget_after_ns: int
    fingerprint: str
    combinations: int = 1
    max_combinations: int = 0  # none but those of one attribute if there are no others
    reference: Reference | None = None

    def value(self, point: Point) -> float | None:
        """What is watched of a point, on [0, 1] or, while there is no scale, as it is; None if it says nothing.

        It may lie outside [0, 1] if the point is wrong.
        """
        if self.clusters:
            return 0.0 if point.vector else None  # each cluster's series has a value of its own
        if self.statistic == "pass_rate":
            return None if point.passed is None else float(point.passed)
        if self.statistic == "share":
            return 0.0 if point.label else None  # each label's series has a value of its own
        if point.value is None:
            return None
        return point.value if self.scale is None else self.scale.to_unit(point.value)


def plans(monitors: Sequence[MonitorConfig], metrics: Mapping[str, Metric], base: Path = Path()) -> list[Plan]:
    """The plans of all monitors; relative files of theirs start from `base`.

    Raises:
        UserError: every problem, each with the path of the wrong value.
    """
    made: list[Plan] = []
    problems: list[str] = []
    for number, config in enumerate(monitors):
        path = f"monitors[{number}]"
        metric = metrics.get(config.watch)
        if metric is None:
            known = ", ".join(sorted(metrics)) or "none"
            problems.append(f"{path}.watch: {config.watch!r} is not a configured scorer; configured: {known}")
            continue
        if any(config.title == plan.name for plan in made):
            problems.append(f"{path}.name: {config.title!r} is taken by an earlier monitor; give it a name of its own")
            continue
        try:
            made.append(_plan(config, metric, path, base))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return made


def _plan(config: MonitorConfig, metric: Metric, path: str, base: Path) -> Plan:
    if metric.embeds and config.statistic not in ("auto", "share"):
        raise UserError(
            f"{path}.statistic: {config.statistic!r}, but {metric.name!r} tells vectors: of these the share of "
            "clusters is watched, so leave it out or say share"
        )
    if metric.embeds and config.baseline is not None:
        raise UserError(f"{path}.baseline: {metric.name!r} tells vectors, which no file of scores has; leave it out")
    if config.statistic == "mean" and not metric.bounded:
        raise UserError(
            f"{path}.statistic: the range of {metric.name!r} is not bounded, so pass_rate or typical is watched"
        )
    if config.statistic == "share" and metric.name in config.by:
        raise UserError(f"{path}.by: {metric.name!r} is what the shares are of; leave it out")
    if config.statistic == "typical" and metric.bounded:
        raise UserError(f"{path}.statistic: {metric.name!r} has a range, so its mean or pass_rate is watched")
    if (config.min_effect or 0.0) > 1.0 and config.statistic != "typical":
        raise UserError(f"{path}.min_effect: {config.min_effect:g}: must be at most 1, the whole range")
    if len(set(config.by)) != len(config.by):
        raise UserError(f"{path}.by: {list(config.by)} names a slice twice")
    _check_combinations(config, metric, path)
    statistic: Statistic = "mean" if metric.bounded else "pass_rate"
    if config.statistic != "auto":
        statistic = config.statistic
    if metric.embeds:
        statistic = "share"
        if metric.name in config.by:
            raise UserError(f"{path}.by: {metric.name!r} is what the shares are of; leave it out")
    scale: Scale | None = Scale(0.0, 1.0)
    if statistic == "mean":
        scale = Scale(float(metric.low or 0.0), float((metric.high or 0.0) - (metric.low or 0.0)))
    elif statistic == "typical":
        scale = None
    least = 0.03 if scale else 0.1
    direction = _direction(config.direction, statistic, metric)
    make = _maker(config, direction, path)
    if config.combinations > 1 and not make().budgeted:
        raise UserError(
            f"{path}.combinations: {config.combinations}: the false pages of {config.detector!r} are not paid for, and "
            "so many series would have many; mean, rank and shape keep to false_pages"
        )
    reference = _reference(config, metric, statistic, scale, path, base)
    return Plan(
        name=config.title,
        metric=metric.name,
        by=config.by,
        statistic=statistic,
        direction=direction,
        scale=scale,
        min_effect=least if config.min_effect is None else config.min_effect,
        warmup=_VECTOR_WARMUP if metric.embeds and "warmup" not in config.model_fields_set else config.warmup,
        min_points=config.min_points,
        detector=config.detector,
        make=make,
        max_series=config.max_series,
        max_labels=config.max_labels,
        clusters=config.clusters if metric.embeds else 0,
        adopt_after_ns=round(config.adopt_after * NANO),
        forget_after_ns=round(config.forget_after * NANO),
        fingerprint=_fingerprint(
            config, statistic, direction, scale, reference, config.clusters if metric.embeds else 0
        ),
        reference=reference,
        combinations=config.combinations,
        max_combinations=config.max_combinations if config.combinations > 1 else 0,
    )


def _check_combinations(config: MonitorConfig, metric: Metric, path: str) -> None:
    if config.combinations > 1 and (config.statistic == "share" or metric.embeds):
        raise UserError(f"{path}.combinations: {config.combinations}: not of shares; leave it out")
    if config.combinations > max(1, len(config.by) - 1):
        raise UserError(
            f"{path}.combinations: {config.combinations} of {list(config.by)}: within each value of the first there "
            f"are {max(0, len(config.by) - 1)} attributes to combine; name more in `by`, or allow fewer"
        )


def _reference(
    config: MonitorConfig, metric: Metric, statistic: Statistic, scale: Scale | None, path: str, base: Path
) -> Reference | None:
    if config.baseline is None:
        return None
    if statistic not in ("mean", "pass_rate") or scale is None:
        raise UserError(f"{path}.baseline: the statistic is {statistic}; only mean and pass_rate take a reference")
    if config.detector != "mean":
        raise UserError(f"{path}.baseline: the detector is {config.detector!r}; only 'mean' takes a reference")
    try:
        return load_reference(config.baseline, base, metric, scale, statistic == "pass_rate", config.warmup)
    except UserError as error:
        raise UserError(*(f"{path}.baseline.{problem}" for problem in error.problems)) from None


def _direction(wanted: str, statistic: Statistic, metric: Metric) -> Direction:
    if wanted in ("down", "up", "both"):
        return wanted  # type: ignore[return-value]
    if statistic == "share":
        return "both"
    if statistic == "pass_rate" or metric.better == "higher":
        return "down"
    return "up" if metric.better == "lower" else "both"


def _maker(config: MonitorConfig, direction: Direction, path: str) -> Callable[[], Detector]:
    try:
        factory = detector_factory(config.detector) if config.baseline is None else FrozenMean
    except UserError as error:
        raise UserError(*(f"{path}.detector: {problem}" for problem in error.problems)) from error
    options = {"direction": direction, **config.options}
    if getattr(factory, "budgeted", False):
        if "arl" in config.options:
            raise UserError(f"{path}.options.arl: the threshold comes from false_pages; leave it out")
        options["arl"] = 1.0  # start mass is in pages
    if "direction" in config.options:
        raise UserError(f"{path}.options.direction: give the monitor's own `direction` instead")

    def make() -> Detector:
        return factory(**options)

    try:
        made = make()
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}.options: {error}") from error
    if not isinstance(made, Detector):
        raise UserError(f"{path}.detector: {config.detector!r} makes a {type(made).__name__}, not a Detector")
    if made.budgeted and made.threshold != 1.0:
        raise UserError(
            f"{path}.detector: {config.detector!r} is budgeted, so its class must take `arl` and keep to it"
        )
    return make


def _fingerprint(
    config: MonitorConfig,
    statistic: str,
    direction: str,
    scale: Scale | None,
    reference: Reference | None,
    clusters: int,
) -> str:
    """Tells whether learned state still fits: changes with whatever changes what is watched, and how."""
    detector = [config.detector, dict(config.options), _LAYOUT]
    if clusters:
        detector.append(clusters)
    parts = [config.watch, list(config.by), statistic, direction, scale.to_json() if scale else None, *detector]
    if config.combinations > 1:
        parts.append(config.combinations)
    parts += [reference.digest] if reference else []
    return blake2b(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS, default=repr), digest_size=8).hexdigest()
