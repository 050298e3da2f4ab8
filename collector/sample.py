"""Which traces are evaluated, and with what probability they came to be.

A decision is a pure function of the trace id (and, for keep rules, of what the trace holds), so that every replica and
every replay decides alike, and a scorer with a lower rate sees a subset of what a scorer with a higher rate sees.

Two sources of chance can be had. A *hash* of the id has nothing to do with the samplers of the application: the
probabilities multiply. With OpenTelemetry's own *randomness* (specification 1.5x, "TraceState: Probability Sampling")
our sample lies within theirs, or theirs within ours: of an application that keeps a tenth, a rate of a tenth is all.

The sampled flag of W3C Trace Context is not looked at: what was exported is there, and most exporters leave that bit of
`Span.flags` empty.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Annotated, Literal

from pydantic import Field, field_validator

from collector.allowance import Limit
from collector.core.model import Slices
from collector.core.settings import Settings

Rate = Annotated[float, Field(ge=0, le=1)]
_MOST = 2**56
_HEX = frozenset("0123456789abcdef")
_RANDOM_DIGITS = 14
_CONDITION = re.compile(r"error|[A-Za-z_][A-Za-z0-9_]*\s*==\s*\S.*")


class KeepRule(Settings):
    """Raises the rate for a class of traces: those that failed, or those of one slice."""

    when: str = Field(description="`error`, or `SLICE == VALUE`")
    rate: Rate = Field(1.0, description="share of these traces that is evaluated, if that is more than `sample.rate`")

    @field_validator("when")
    @classmethod
    def _condition(cls, when: str) -> str:
        if not _CONDITION.fullmatch(when):
            raise ValueError(f"{when!r:.80} is neither `error` nor `SLICE == VALUE`, such as `service == shop`")
        return when

    @property
    def slice_name(self) -> str | None:
        """The slice that the rule looks at, None if it looks at errors."""
        return None if self.when == "error" else self.when.partition("==")[0].strip()


class QuotaConfig(Settings):
    """A number of traces for each class."""

    by: Sequence[str] = Field(("service",), description="slices; each combination of their values is a class")
    at_most: Limit = Field(description="how many traces of a class are evaluated at most, over all workers")


class SampleConfig(Settings):
    """Rates: 0 means never, 1 (the default) everything."""

    rate: Rate = Field(1.0, description="share of all traces that is evaluated; 0 means never")
    keep: Sequence[KeepRule] = Field((), description="classes of traces that are evaluated at a higher rate")
    salt: str = Field("", description="another salt makes an independent choice of traces")
    chance: Literal["hash", "otel"] = Field(
        "hash",
        description="hash: apart from the application's samplers; otel: by OpenTelemetry's randomness, as they do",
    )
    quota: QuotaConfig | None = Field(None, description="at most so many traces of each class; null: no quota")


@dataclass(frozen=True, slots=True)
class Admission:
    """The sampling of one trace. It is evaluated by a scorer of rate r if `unit < rate * r`."""

    unit: float  # the trace's place in [0, 1)
    rate: float  # our own, for the class of this trace
    upstream: float  # probability that the sampler of the application kept it
    rule: str  # the configuration line that decided
    nested: bool = False  # whether that sampler decided by the same `unit`
    apart: Mapping[str, float] | None = None  # by span id, where that sampler kept spans with another probability

    def told_by(self, span_ids: Iterable[str | None]) -> "Admission":
        """That of what these spans tell together: they are all there as often as the rarest of them."""
        if self.apart is None:
            return self
        chances = [self.apart.get(one or "", self.upstream) for one in span_ids]
        return replace(self, upstream=min(chances)) if chances else self

    def includes(self, scorer_rate: float = 1.0, own_unit: float | None = None) -> bool:
        """Whether a scorer sees the trace.

        Args:
            scorer_rate: of those that are admitted.
            own_unit: a place of the trace that only this scorer goes by, if it does not go by `unit`.
        """
        if own_unit is None:
            return self.unit < self.rate * scorer_rate
        return self.unit < self.rate and own_unit < scorer_rate

    def probability(self, scorer_rate: float = 1.0, own_unit: float | None = None) -> float:
        """Inclusion probability of a score, over everything between the application and the scorer."""
        if not self.nested:
            return self.upstream * self.rate * scorer_rate
        if own_unit is None:
            return min(self.upstream, self.rate * scorer_rate)
        return min(self.upstream, self.rate) * scorer_rate


class Sampler:
    def __init__(self, config: SampleConfig) -> None:
        self._config = config
        self._salt = config.salt.encode()
        self._most = max([config.rate, *(rule.rate for rule in config.keep)])
        self._by_hash = config.chance == "hash"
        self.quota = config.quota
        self.needs_slices = config.quota is not None or any(rule.when != "error" for rule in config.keep)

    def unit(self, trace_id: bytes, trace_state: str = "") -> float:
        """The place of a trace in [0, 1), uniform."""
        return hashed_unit(trace_id, self._salt) if self._by_hash else random_unit(trace_id, trace_state)

    @property
    def most_by_id(self) -> float:
        """The share of traces that their id alone does not leave out."""
        return self._most if self._by_hash else 1.0

    def never(self, trace_id: bytes) -> bool:
        """True if the id alone decides that no rule can keep this trace.

        Where OpenTelemetry's randomness decides it never does: a tracestate that only some spans have may say `rv`.
        """
        return self.most_by_id < 1 and self.unit(trace_id) >= self.most_by_id

    def admit(
        self,
        trace_id: bytes,
        failed: bool,
        slices: Slices,
        trace_state: str,
        apart: Mapping[str, float] | None = None,
    ) -> Admission:
        """The admission of a complete trace.

        Args:
            trace_id: 16 bytes.
            failed: whether any span of it has status ERROR.
            slices: its slice attributes, for keep rules that name one.
            trace_state: the W3C tracestate of its root, where OpenTelemetry's samplers leave their threshold.
            apart: the probabilities of spans that say another than the root (`collector.upstream`).
        """
        rate, rule = self._rate(failed, slices)
        upstream = upstream_probability(trace_state)
        return Admission(self.unit(trace_id, trace_state), rate, upstream, rule, not self._by_hash, apart)

    def never_session(self, key: bytes) -> bool:
        """True if its key alone decides that no rule can keep this session."""
        return self._most < 1 and hashed_unit(key, self._salt) >= self._most

    def admit_session(self, key: bytes, failed: bool, slices: Slices, upstream: float) -> Admission:
        """The admission of a session: by a hash of its key always, so that its scorers see all of its traces or none.

        Args:
            key: 16 bytes, what the session is told by.
            failed: whether any trace of it failed.
            slices: of its last trace.
            upstream: probability that the sampler of the application kept its traces.
        """
        rate, rule = self._rate(failed, slices)
        return Admission(hashed_unit(key, self._salt), rate, upstream, rule)

    def _rate(self, failed: bool, slices: Slices) -> tuple[float, str]:
        """Of the class of a trace or session, and the configuration line that it is from."""
        rate, rule = self._config.rate, "sample.rate"
        for number, keep in enumerate(self._config.keep):
            if keep.rate > rate and _matches(keep.when, failed, slices):
                rate, rule = keep.rate, f"sample.keep[{number}]"
        return rate, rule


def hashed_unit(trace_id: bytes, salt: bytes) -> float:
    """A place in [0, 1) by a hash, unrelated to samplers that look at the id's own bits, and to other salts."""
    digest = blake2b(trace_id, digest_size=8, key=salt).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


def random_unit(trace_id: bytes, trace_state: str) -> float:
    """A place in [0, 1) by OpenTelemetry's randomness R: `unit < p` where its sampler of probability p keeps, R >= T.

    R is `rv` of the tracestate, 14 hexadecimal digits, else the last 56 bits of the trace id.

    >>> random_unit(bytes(15) + b"\\x01", "ot=th:8;rv:ffffffffffffff")
    0.0
    """
    explicit = _ot_value(trace_state, "rv")
    random = int(explicit, 16) if explicit and len(explicit) == _RANDOM_DIGITS else int.from_bytes(trace_id[-7:], "big")
    return ((_MOST - 1 - random) >> 3) * 2.0**-53


def upstream_probability(trace_state: str) -> float:
    """The probability with which OpenTelemetry's consistent samplers kept a span, 1.0 if they left no word.

    Source: OpenTelemetry specification 1.5x, "TraceState: Probability Sampling", key `ot`, sub-key `th`: a rejection
    threshold of up to 14 hexadecimal digits, trailing zeros left out.

    >>> upstream_probability("ot=th:c;rv:9b8233f7e3a151")
    0.25
    >>> upstream_probability("congo=t61rcWkgMzE")
    1.0
    """
    digits = _ot_value(trace_state, "th")
    return 1.0 if digits is None else (_MOST - int(digits.ljust(_RANDOM_DIGITS, "0"), 16)) / _MOST


def has_word(trace_state: str, *of: str) -> bool:
    """Whether OpenTelemetry's samplers left a word in it: any of these sub-keys of `ot`, or `th` or `rv`."""
    return any(_ot_value(trace_state, one) is not None for one in of or ("th", "rv"))


def _ot_value(trace_state: str, wanted: str) -> str | None:
    """The hexadecimal digits of a sub-key of `ot`; None if it is not there or has none, or more than 14."""
    if not trace_state:
        return None
    for member in trace_state.split(","):
        key, _, value = member.strip().partition("=")
        if key != "ot":
            continue
        for part in value.split(";"):
            name, _, digits = part.partition(":")
            if name == wanted and 0 < len(digits) <= _RANDOM_DIGITS and set(digits) <= _HEX:
                return digits
    return None


def _matches(when: str, failed: bool, slices: Slices) -> bool:
    if when == "error":
        return failed
    name, _, value = when.partition("==")
    return slices.get(name.strip()) == value.strip().strip("\"'")
