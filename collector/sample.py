"""Which traces are evaluated, and with what probability they came to be.

A decision is a pure function of the trace id (and, for keep rules, of what the trace holds), so that every replica and
every replay decides alike, and a scorer with a lower rate sees a subset of what a scorer with a higher rate sees.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated

from pydantic import Field, field_validator

from collector.core.model import Slices
from collector.core.settings import Settings

Rate = Annotated[float, Field(ge=0, le=1)]
_MOST = 2**56
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


class SampleConfig(Settings):
    """Rates: 0 means never, 1 (the default) everything."""

    rate: Rate = Field(1.0, description="share of all traces that is evaluated; 0 means never")
    keep: Sequence[KeepRule] = Field((), description="classes of traces that are evaluated at a higher rate")
    salt: str = Field("", description="another salt makes an independent choice of traces")


@dataclass(frozen=True, slots=True)
class Admission:
    """The sampling of one trace. It is evaluated by a scorer of rate r if `unit < rate * r`."""

    unit: float  # the trace id's place in [0, 1)
    rate: float  # our own, for the class of this trace
    upstream: float  # probability that the sampler of the application kept it
    rule: str  # the configuration line that decided

    def includes(self, scorer_rate: float = 1.0) -> bool:
        return self.unit < self.rate * scorer_rate

    def probability(self, scorer_rate: float = 1.0) -> float:
        """Inclusion probability of a score, over everything between the application and the scorer."""
        return self.upstream * self.rate * scorer_rate


class Sampler:
    def __init__(self, config: SampleConfig) -> None:
        self._config = config
        self._salt = config.salt.encode()
        self._most = max([config.rate, *(rule.rate for rule in config.keep)])
        self.needs_slices = any(rule.when != "error" for rule in config.keep)

    def unit(self, trace_id: bytes) -> float:
        """The place of a trace in [0, 1): uniform, and unrelated to samplers that look at the id's own bits."""
        digest = blake2b(trace_id, digest_size=8, key=self._salt).digest()
        return (int.from_bytes(digest, "big") >> 11) * 2.0**-53

    def never(self, trace_id: bytes) -> bool:
        """True if the id alone decides that no rule can keep this trace."""
        return self._most < 1 and self.unit(trace_id) >= self._most

    def admit(self, trace_id: bytes, failed: bool, slices: Slices, trace_state: str) -> Admission:
        """The admission of a complete trace.

        Args:
            trace_id: 16 bytes.
            failed: whether any span of it has status ERROR.
            slices: its slice attributes, for keep rules that name one.
            trace_state: the W3C tracestate of its root, where OpenTelemetry's samplers leave their threshold.
        """
        return self._admission(trace_id, failed, slices, upstream_probability(trace_state))

    def admit_session(self, key: bytes, failed: bool, slices: Slices, upstream: float) -> Admission:
        """The admission of a session: by its own id, so that its scorers see all of its traces or none.

        Args:
            key: 16 bytes, what the session is told by.
            failed: whether any trace of it failed.
            slices: of its last trace.
            upstream: probability that the sampler of the application kept its traces.
        """
        return self._admission(key, failed, slices, upstream)

    def _admission(self, identity: bytes, failed: bool, slices: Slices, upstream: float) -> Admission:
        rate, rule = self._config.rate, "sample.rate"
        for number, keep in enumerate(self._config.keep):
            if keep.rate > rate and _matches(keep.when, failed, slices):
                rate, rule = keep.rate, f"sample.keep[{number}]"
        return Admission(self.unit(identity), rate, upstream, rule)


def upstream_probability(trace_state: str) -> float:
    """The probability with which OpenTelemetry's consistent samplers kept a span, 1.0 if they left no word.

    Source: OpenTelemetry specification 1.5x, "TraceState: Probability Sampling", key `ot`, sub-key `th`: a rejection
    threshold of up to 14 hexadecimal digits, trailing zeros left out.

    >>> upstream_probability("ot=th:c;rv:9b8233f7e3a151")
    0.25
    >>> upstream_probability("congo=t61rcWkgMzE")
    1.0
    """
    for member in trace_state.split(","):
        key, _, value = member.strip().partition("=")
        if key != "ot":
            continue
        for part in value.split(";"):
            name, _, digits = part.partition(":")
            if name == "th" and 0 < len(digits) <= 14 and set(digits) <= set("0123456789abcdef"):
                threshold = int(digits.ljust(14, "0"), 16)
                return (_MOST - threshold) / _MOST
    return 1.0


def _matches(when: str, failed: bool, slices: Slices) -> bool:
    if when == "error":
        return failed
    name, _, value = when.partition("==")
    return slices.get(name.strip()) == value.strip().strip("\"'")
