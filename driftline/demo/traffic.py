"""A few thousand traces made from the recorded ones, over simulated hours, with a regression at a known time.

At `Truth.onset_ns` the service `clinic-assistant` goes from version 2.3.1 to 2.4.0 and from prompt v7 to v8. From then
on about a third of its retrieval answers are not supported by what was retrieved, and it refuses more often. Nothing
else changes. What comes out depends on the sample, the seed, the number of traces and the times alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil, exp
from random import Random
from typing import Any, Literal, TypeAlias

from collector.core.engine import TRACES_KIND
from driftline.demo.batches import batched, root_last
from driftline.demo.recordings import Recording, spans
from driftline.demo.services import CLINIC, SERVICES, DemoService, Exporter
from driftline.demo.template import Casting, Template
from driftline.demo.texts import Subject, subject_of

Outcome: TypeAlias = Literal["recorded", "grounded", "ungrounded", "refused", "failed"]

_NS = 1_000_000_000
_BURST_TRACES = 5  # that one export of a service carries
_BURST_SECONDS = 1.5  # within which they begin
_LONGEST_SECONDS = 3.5  # of one trace: bursts are over before their quiet time is
_BURST_ROOM_SECONDS = 8.0  # from one burst to the next, at least
_ROOT_LAST_SHARE = 0.1
_LATENCY_SIGMA = 0.3  # of the logarithm of a trace's duration


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of retrieval answers that go wrong."""

    ungrounded: float
    refused: float


USUAL = Rates(ungrounded=0.04, refused=0.02)
REGRESSED = Rates(ungrounded=0.35, refused=0.15)
FAILED_SHARE = 0.015  # of all requests: the model provider answers with an error


@dataclass(frozen=True, slots=True)
class Truth:
    """What was done to the traffic, to hold against what is found."""

    service: str
    onset_ns: int
    version_before: str = CLINIC.version
    version_after: str = "2.4.0"
    prompt_before: str = "v7"
    prompt_after: str = "v8"


@dataclass(frozen=True, slots=True)
class Visit:
    """One planned use of a recording."""

    number: int
    service: DemoService
    recording: str
    start_ns: int
    duration_seconds: float
    version: str
    prompt_version: str
    outcome: Outcome
    answer: str | None  # None: as it was recorded
    session: int
    root_last: bool


@dataclass(frozen=True, slots=True)
class Burst:
    """Visits of one service that its exporter sends together."""

    service: DemoService
    visits: tuple[Visit, ...]
    events_first: bool


@dataclass(frozen=True, slots=True)
class Request:
    """One request to send. `body` is protobuf; the exporter says how it goes over the wire."""

    kind: str  # TRACES_KIND or EVENTS_KIND
    body: bytes
    service: str
    exporter: Exporter
    traces: int  # whose root is in it


class Traffic:
    """The demo's traffic.

    Args:
        sample: recordings by label.
        traces: how many there shall be, at least 1.
        seed: another seed gives other traffic of the same kind.
        end_ns: Unix time before which the last trace ends.
        hours: how long the traffic lasts.
        onset: when the regression begins, as a share of that time.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        sample: Mapping[str, Recording],
        *,
        end_ns: int,
        traces: int = 3000,
        seed: int = 1,
        hours: float = 6.0,
        onset: float = 0.7,
    ) -> None:
        if traces < 1 or hours <= 0 or not 0 <= onset <= 1 or end_ns < hours * 3600 * _NS:
            raise ValueError(
                f"traces={traces}, hours={hours}, onset={onset}, end_ns={end_ns}: there must be a trace,"
                " time for it after 1970, and an onset from 0 to 1"
            )
        self._templates = {label: Template(recording) for label, recording in sample.items()}
        self._span_ns = round(hours * 3600 * _NS)
        self._identity = f"{seed}/{traces}/{hours}/{onset}/{end_ns}"
        self.traces = traces
        self.start_ns = end_ns - self._span_ns
        self.end_ns = end_ns
        self.truth = Truth(CLINIC.name, self.start_ns + round(onset * self._span_ns))
        self.bursts = list(self._plan(Random(f"driftline/{seed}")))

    @property
    def visits(self) -> Iterator[Visit]:
        """All planned uses of recordings, in order of their burst."""
        return (visit for burst in self.bursts for visit in burst.visits)

    def requests(self) -> Iterator[Request]:
        """All requests, in the order in which they are to be sent."""
        for burst in self.bursts:
            casts = [self.cast(visit) for visit in burst.visits]
            for kind, message in batched(casts, burst.events_first):
                roots = sum(not span.parent_span_id for span in spans(message)) if kind == TRACES_KIND else 0
                body = message.SerializeToString(deterministic=True)
                yield Request(kind, body, burst.service.name, burst.service.exporter, roots)

    def cast(self, visit: Visit) -> list[tuple[str, Any]]:
        """The request messages of one visit alone: (kind, message)."""
        template = self._templates[visit.recording]
        key = blake2b(f"{self._identity}/{visit.number}".encode(), digest_size=32).digest()
        texts = {
            "session_id": f"sess-{visit.service.name[0]}{visit.session:04x}",
            "user_id": f"u-{visit.session * 7919 % 100_000:05d}",
        }
        if visit.service is CLINIC:
            texts["prompt_version"] = visit.prompt_version
        if visit.answer is not None:
            texts["answer"] = visit.answer
        stretch = visit.duration_seconds * _NS / max(1, template.duration_ns)
        parts = template.cast(Casting(key, visit.start_ns, stretch, _resource(visit), texts))
        return root_last(parts) if visit.root_last else parts

    # --- the plan ---

    def _plan(self, random: Random) -> Iterator[Burst]:
        room_traces = ceil(self.traces * _BURST_ROOM_SECONDS * _NS / self._span_ns)
        size = max(_BURST_TRACES, room_traces)
        count = ceil(self.traces / size)
        gap_ns = self._span_ns / count
        slack_ns = max(0.0, gap_ns - (_BURST_SECONDS + _LONGEST_SECONDS + 2.0) * _NS)
        number = 0
        for index, service in zip(range(count), _taking_turns(SERVICES), strict=False):
            start_ns = self.start_ns + round(index * gap_ns + random.random() * slack_ns)
            wanted = min(size, self.traces - index * size)
            visits = tuple(self._visits(random, service, start_ns, wanted, number))
            number += len(visits)
            yield Burst(service, visits, events_first=random.random() < 0.5)

    def _visits(self, random: Random, service: DemoService, start_ns: int, wanted: int, number: int) -> Iterator[Visit]:
        starts = sorted(start_ns + round(random.random() * _BURST_SECONDS * _NS) for _ in range(wanted))
        for at_ns in starts:
            if wanted == 0:  # a recording with several traces took the places of later ones
                return
            visit = self._visit(random, service, at_ns, wanted, number)
            wanted -= self._templates[visit.recording].recording.trace_count
            number += 1
            yield visit

    def _visit(self, random: Random, service: DemoService, at_ns: int, room: int, number: int) -> Visit:
        regressed = service is CLINIC and at_ns >= self.truth.onset_ns
        label, outcome, answer = self._what(random, service, room, REGRESSED if regressed else USUAL)
        return Visit(
            number=number,
            service=service,
            recording=label,
            start_ns=at_ns,
            duration_seconds=self._duration(random, label),
            version=self.truth.version_after if regressed else service.version,
            prompt_version=self.truth.prompt_after if regressed else self.truth.prompt_before,
            outcome=outcome,
            answer=answer,
            session=int(random.random() * max(1, self.traces // 2)),
            root_last=random.random() < _ROOT_LAST_SHARE,
        )

    def _what(self, random: Random, service: DemoService, room: int, rates: Rates) -> tuple[str, Outcome, str | None]:
        if random.random() < FAILED_SHARE:
            return self._pick(random, service.errors, room), "failed", None
        label = self._pick(random, service.mix, room)
        subject = subject_of(self._templates[label].recording.name)
        if subject is None:
            return label, "recorded", None
        chance = random.random()
        if chance < rates.ungrounded:
            return label, "ungrounded", _invented(random, subject)
        if chance < rates.ungrounded + rates.refused:
            return label, "refused", _one_of(random, subject.refusals)
        return label, "grounded", _one_of(random, subject.grounded)

    def _pick(self, random: Random, weights: Mapping[str, float], room: int) -> str:
        """A recording by weight, among those with no more traces than there is room for."""
        fitting = {
            label: weight for label, weight in weights.items() if self._templates[label].recording.trace_count <= room
        }
        point = random.random() * sum(fitting.values())
        for label, weight in fitting.items():
            point -= weight
            if point < 0:
                return label
        return label  # rounding left a little over: the last one

    def _duration(self, random: Random, label: str) -> float:
        """Seconds: recorded against a local server, played as slow as real providers are."""
        calls = self._templates[label].recording.model_calls
        usual = 0.5 + 0.7 * min(calls, 3)
        return min(usual * exp(random.gauss(0.0, _LATENCY_SIGMA)), _LONGEST_SECONDS)


def _taking_turns(services: tuple[DemoService, ...]) -> Iterator[DemoService]:
    """The services for ever, each as often as its share says, evenly spread."""
    credit = {service.name: 0.0 for service in services}
    while True:
        for service in services:
            credit[service.name] += service.share
        chosen = max(services, key=lambda service: credit[service.name])
        credit[chosen.name] -= 1.0
        yield chosen


def _one_of(random: Random, choices: tuple[str, ...]) -> str:
    return choices[int(random.random() * len(choices))]


def _invented(random: Random, subject: Subject) -> str:
    """Three different sentences that no document supports."""
    left = list(subject.invented)
    return " ".join(left.pop(int(random.random() * len(left))) for _ in range(3))


def _resource(visit: Visit) -> dict[str, str]:
    """One process a service and version, whichever library it uses."""
    instance = blake2b(f"{visit.service.name} {visit.version}".encode(), digest_size=8).hexdigest()
    return {
        "service.name": visit.service.name,
        "service.version": visit.version,
        "service.instance.id": instance,
        "deployment.environment": "production",
        "deployment.environment.name": "production",
    }
