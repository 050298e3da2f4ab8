"""A monitor's frozen reference: scores that were good, from a file, instead of what the stream begins with.

A line is a score as `driftline export scores` writes it (form `driftline.score/1`) or as `driftline score --out` does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from math import isfinite
from pathlib import Path
from typing import Any

import orjson
from pydantic import Field, field_validator

from collector.core.errors import UserError
from collector.core.settings import Settings
from drift.base import Metric
from drift.recent import Record
from drift.scale import Scale

_MOST_ROWS = 200_000
_LATEST_NS = 2**63 - 1


class BaselineConfig(Settings):
    """A frozen reference: levels are held against these scores, for good."""

    file: Path = Field(description="scores, a line of JSON each, as `driftline export scores` writes them")
    period: str | None = Field(None, description="only scores of this time, FROM..TO, such as 2026-03-01..2026-03-08")

    @field_validator("period")
    @classmethod
    def _is_a_period(cls, text: str | None) -> str | None:
        if text is not None:
            parse_span(text)
        return text


@dataclass(frozen=True)
class Reference:
    """The scores of a metric, and a hash of everything that matters about them."""

    records: tuple[Record, ...]
    digest: str
    _by_slice: dict[tuple[str, ...], dict[tuple[str, ...], list[Record]]] = field(default_factory=dict, compare=False)

    def of(self, slices: Mapping[str, str], at_ns: int) -> list[Record]:
        """What belongs to a series, oldest first; what has no time, or a later one, was just before `at_ns`.

        A score that does not say of which slices it is belongs to every series.
        """
        names = tuple(slices)
        if names not in self._by_slice:
            self._by_slice[names] = self._index(names)
        known = self._by_slice[names]
        chosen = known.get(tuple(slices.values()), known[()])
        return [(min(at or at_ns - 1, at_ns - 1), x, w, trace, pairs) for at, x, w, trace, pairs in chosen]

    def _index(self, names: tuple[str, ...]) -> dict[tuple[str, ...], list[Record]]:
        """The records by their values of these slices; under no values, those that belong to every series."""
        found: dict[tuple[str, ...], list[Record]] = {(): [one for one in self.records if not one[4]]}
        for one in self.records if names else ():
            pairs = dict(one[4])
            if all(name in pairs for name in names):
                found.setdefault(tuple(pairs[name] for name in names), []).append(one)
        for values, some in found.items():
            if values and found[()]:
                found[values] = sorted([*some, *found[()]], key=lambda one: one[0])
        return found if names else {(): list(self.records)}


def parse_span(text: str) -> tuple[int, int]:
    """Two moments with `..` between, in Unix nanoseconds.

    >>> parse_span("1970-01-01..1970-01-02")
    (0, 86400000000000)

    Raises:
        ValueError: one is no moment, or the end is not after the beginning.
    """
    begin, dots, end = text.partition("..")
    try:
        from_ns, to_ns = _moment_ns(begin), _moment_ns(end)
    except (ValueError, OverflowError):
        dots = ""
    if not dots or from_ns >= to_ns:
        raise ValueError(f"{text!r} is not FROM..TO, two days or moments such as 2026-03-01..2026-03-08T12:00Z")
    return from_ns, to_ns


def load_reference(
    config: BaselineConfig, base: Path, metric: Metric, scale: Scale, judged: bool, least: int
) -> Reference:
    """Read the reference of a monitor.

    Args:
        base: the folder that a relative file starts from.
        scale: of the metric's values; with `judged`, whether a score passed is taken instead.
        least: how many points a reference must have.

    Raises:
        UserError: the file cannot be read, a line is no score, or there are too few; begins with the wrong field.
    """
    path = base / config.file
    from_ns, to_ns = (0, _LATEST_NS) if config.period is None else parse_span(config.period)
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"file: {path} cannot be read: {error.strerror}") from None
    if len(lines) > _MOST_ROWS:
        raise UserError(f"file: {path} has {len(lines)} lines; {_MOST_ROWS} are allowed")
    records: list[Record] = []
    others: set[str] = set()
    outside = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = _row(line)
            if row.get("scorer", metric.name) != metric.name:
                others.add(str(row["scorer"])[:80])
                continue
            record = _record(row, scale, judged)
        except ValueError as error:
            raise UserError(f"file: {path}, line {number}: {error}") from None
        if record is None:
            continue
        if config.period is not None and not from_ns <= record[0] < to_ns:
            outside += 1
            continue
        records.append(record)
    if len(records) < least:
        told = "verdicts" if judged else "values"
        why = f"; {outside} more are outside of the period {config.period}" if outside else ""
        why += f"; it has scores of {', '.join(sorted(others))}" if others and not records else ""
        raise UserError(f"file: {path} has {len(records)} {told} of {metric.name!r}; {least} are needed (warmup){why}")
    records.sort(key=lambda one: one[0])
    return Reference(tuple(records), _digest(records))


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error}") from None
    if not isinstance(row, dict):
        raise ValueError("is not an object")
    return row


def _record(row: Mapping[str, Any], scale: Scale, judged: bool) -> Record | None:
    """None if this score does not tell what is watched; ValueError if it tells nonsense."""
    found = row.get("passed") if judged else row.get("value", row.get("score"))
    if found is None:
        return None
    if type(found) is not bool and (judged or type(found) not in (int, float)):
        raise ValueError(f"{'passed' if judged else 'value'} is {found!r:.80}")
    x = float(found) if judged else scale.to_unit(float(found))
    if not 0.0 <= x <= 1.0:
        raise ValueError(f"value is {found!r:.80}; the scorer's range is {scale.level(0.0):g} to {scale.level(1.0):g}")
    probability = row.get("probability", 1.0)
    if type(probability) not in (int, float) or not (isfinite(probability) and 0 < probability <= 1):
        raise ValueError(f"probability is {probability!r:.80}; it must be more than 0 and at most 1")
    slices = row.get("slices") or {}
    if not isinstance(slices, dict) or not all(isinstance(value, str) for value in slices.values()):
        raise ValueError(f"slices is {slices!r:.80}; it must be an object of texts")
    time = row.get("event_time")
    at_ns = 0 if time is None else _moment_ns(str(time))
    return at_ns, x, 1 / probability, str(row.get("trace_id") or row.get("id") or ""), tuple(slices.items())


def _moment_ns(text: str) -> int:
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return min(max(0, round(moment.timestamp() * 1e6) * 1000), _LATEST_NS)


def _digest(records: Iterable[Record]) -> str:
    return blake2b(orjson.dumps([[at, x, w, pairs] for at, x, w, _, pairs in records]), digest_size=8).hexdigest()
