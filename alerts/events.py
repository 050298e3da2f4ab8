"""Scores as OpenTelemetry events: one `gen_ai.evaluation.result` for each, parented to the span that was evaluated.

Source: OpenTelemetry semantic conventions for generative AI, event `gen_ai.evaluation.result` (status: development).
Our own additions are under `driftline.*`. Sending happens in the background, from a queue of bounded length: what does
not fit, or is not taken by the other side, is counted and dropped, because the scores themselves are in the store.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from threading import Lock
from typing import Annotated, Any
from urllib.parse import urlsplit

import requests
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from opentelemetry.util.types import AnyValue
from pydantic import Field

from alerts.http import Address, reveal
from collector.core.clock import Clock, SystemClock
from collector.core.model import Trace
from collector.core.settings import Duration, Secret, Settings
from collector.core.telemetry import Counter, Telemetry
from scorers.ledger import Decision, score_id
from scorers.targets import span_of

EVENT_NAME = "gen_ai.evaluation.result"
SCOPE = "driftline"

_BATCH = 512
_TEXT_RUNES = 4096
_DELAY_MILLIS = 1000.0


class EventsConfig(Settings):
    """Where scores are sent as OpenTelemetry events; nowhere if `otlp_http` is null."""

    otlp_http: Address | None = Field(None, description="an OTLP/HTTP receiver, such as http://collector:4318")
    headers: Mapping[str, Secret] = Field(default_factory=dict, description="sent along, such as Authorization")
    timeout: Annotated[Duration, Field(gt=0, description="for one request with its retries")] = 10.0
    queue: int = Field(10_000, ge=1, description="events that may wait; more are dropped and counted")
    explanations: bool = Field(True, description="send what scorers say about their scores")


class EventExporter:
    """Sends scores as events. `emit` may be called by any thread and never waits."""

    def __init__(
        self,
        config: EventsConfig,
        telemetry: Telemetry,
        clock: Clock | None = None,
        exporter: LogRecordExporter | None = None,
    ) -> None:
        """
        Args:
            exporter: what to send with in place of OTLP over HTTP.

        Raises:
            ValueError: neither an address nor an exporter.
        """
        if exporter is None and config.otlp_http is None:
            raise ValueError("otlp_http is null: there is nowhere to send events to")
        self._config = config
        self._clock = clock or SystemClock()
        self._events = telemetry.counter(
            "driftline_evaluation_events",
            "Scores as OpenTelemetry events, by outcome: sent, failed (not taken by the receiver), queue_full "
            "(dropped), bad_id (the trace has no id of OpenTelemetry's form).",
            ["outcome"],
        )
        for outcome in ("sent", "failed", "queue_full", "bad_id"):
            self._events.add(0, outcome)  # from zero on: a counter that appears at 1 shows Prometheus no increase
        self._queue = _CountedQueue(exporter or _otlp(config), self._events)
        self._provider = LoggerProvider(Resource.create(resource()), shutdown_on_exit=False)
        self._provider.add_log_record_processor(
            BatchLogRecordProcessor(
                self._queue,
                schedule_delay_millis=_DELAY_MILLIS,
                max_export_batch_size=min(_BATCH, config.queue),
                max_queue_size=config.queue,
            )
        )
        self._logger = self._provider.get_logger(SCOPE)

    def emit(self, trace: Trace, decisions: Sequence[Decision], revision: int = 0) -> None:
        """Send the scores and failures among the decisions on a trace."""
        for decision in decisions:
            if decision.decision not in ("scored", "failed"):
                continue
            context = _parent(trace, decision)
            if context is None:
                self._events.add(1, "bad_id")
            elif not self._queue.enter(self._config.queue):
                self._events.add(1, "queue_full")
            else:
                self._logger.emit(self._record(trace, decision, revision, context))

    def flush(self) -> None:
        """Send what waits, now."""
        self._provider.force_flush()

    def close(self) -> None:
        """Send what waits, then stop. Safe to call twice."""
        self._provider.shutdown()

    def _record(self, trace: Trace, decision: Decision, revision: int, context: Context) -> LogRecord:
        now_ns = self._clock.now_ns()
        return LogRecord(
            timestamp=now_ns,
            observed_timestamp=now_ns,
            context=context,
            severity_number=SeverityNumber.INFO,
            event_name=EVENT_NAME,
            attributes=attributes(trace, decision, revision, explanations=self._config.explanations),
        )


def attributes(trace: Trace, decision: Decision, revision: int, *, explanations: bool = True) -> dict[str, AnyValue]:
    """The attributes of the event. A failure has `error.type` and no score: an error is never a zero."""
    found: dict[str, AnyValue] = {
        "gen_ai.evaluation.name": _text(decision.scorer),
        "driftline.evaluator.id": _text(decision.evaluator_id),
        "driftline.score.id": score_id(trace.trace_id, decision.span_id, decision.scorer, revision),
        "driftline.score.revision": revision,
        "driftline.sampling.probability": decision.probability,
        "driftline.sampling.rule": _text(decision.rule),
    }
    response_id = _response_id(trace, _span_id(trace, decision))
    if response_id:
        found["gen_ai.response.id"] = _text(response_id)
    score = decision.score
    if decision.decision == "failed" or score is None:
        found["error.type"] = _text(decision.reason) or "_OTHER"
        return found
    if score.value is not None and isfinite(score.value):
        found["gen_ai.evaluation.score.value"] = float(score.value)
    label = score.label or {True: "pass", False: "fail", None: ""}[score.passed]
    if label:
        found["gen_ai.evaluation.score.label"] = _text(label)
    if score.passed is not None:
        found["driftline.score.passed"] = score.passed
    if explanations and score.explanation:
        found["gen_ai.evaluation.explanation"] = _text(score.explanation)
    return found


class _CountedQueue(LogRecordExporter):
    """Counts what enters the SDK's queue and what leaves it, since the SDK drops without telling."""

    def __init__(self, inner: LogRecordExporter, events: Counter) -> None:
        self._inner = inner
        self._events = events
        self._waiting = 0
        self._lock = Lock()

    def enter(self, limit: int) -> bool:
        """Take a place in the queue; False if there is none."""
        with self._lock:
            if self._waiting >= limit:
                return False
            self._waiting += 1
            return True

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        result = LogRecordExportResult.FAILURE
        try:
            result = self._inner.export(batch)
        finally:
            with self._lock:
                self._waiting -= len(batch)
            self._events.add(len(batch), "sent" if result is LogRecordExportResult.SUCCESS else "failed")
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()  # type: ignore[no-untyped-call] # the SDK leaves it without types

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _otlp(config: EventsConfig) -> OTLPLogExporter:
    return OTLPLogExporter(
        endpoint=endpoint(reveal(config.otlp_http or "")),
        headers={name: value.get_secret_value() for name, value in config.headers.items()},
        timeout=config.timeout,
        session=Direct(),
    )


class Direct(requests.Session):
    """Takes a redirect for the failure that it is: the exporter does not follow one, but counts it as sent.

    And tells of failures by their kind only: the exporter logs them, and an address may hold a token.
    """

    def request(self, *args: Any, **options: Any) -> Any:
        try:
            response = super().request(*args, **options)
        except requests.ConnectionError as error:  # which is tried again, and is a Timeout too where it is one
            raise requests.ConnectionError(f"no answer ({type(error).__name__})") from None
        except (requests.RequestException, UnicodeError) as error:
            raise requests.RequestException(f"no answer ({type(error).__name__})") from None
        if 300 <= response.status_code < 400:
            raise requests.TooManyRedirects(f"answered {response.status_code}; configure the final address")
        return response


def endpoint(address: str, signal: str = "logs") -> str:
    """Where a signal goes: the address as it is if it has a path, else OTLP's path for it.

    >>> endpoint("http://collector:4318"), endpoint("https://example.org/otlp/v1/logs")
    ('http://collector:4318/v1/logs', 'https://example.org/otlp/v1/logs')
    """
    return address if urlsplit(address).path.strip("/") else f"{address.rstrip('/')}/v1/{signal}"


def resource() -> dict[str, str]:
    """What Driftline is to a receiver of its signals."""
    try:
        return {"service.name": "driftline", "service.version": version("driftline")}
    except PackageNotFoundError:  # run from a source tree that was never installed
        return {"service.name": "driftline"}


def _span_id(trace: Trace, decision: Decision) -> str | None:
    """The span that was evaluated: an operation, or the root for a score of the whole trace."""
    return span_of(decision.span_id or (decision.score.span_id if decision.score else "") or "") or trace.root_span_id


def _parent(trace: Trace, decision: Decision) -> Context | None:
    """The evaluated span as a parent; None if its trace has no valid id. An odd span id leaves the trace as parent."""
    trace_id = _identifier(trace.trace_id, 32)
    if not trace_id:
        return None
    span = SpanContext(
        trace_id, _identifier(_span_id(trace, decision) or "", 16), is_remote=True, trace_flags=TraceFlags(1)
    )
    return set_span_in_context(NonRecordingSpan(span), Context())


def _identifier(text: str, digits: int) -> int:
    """The number that a hexadecimal id stands for; 0 if it is none."""
    return int(text, 16) if len(text) == digits and set(text) <= set("0123456789abcdefABCDEF") else 0


def _response_id(trace: Trace, span_id: str | None) -> str | None:
    calls = [call for call in trace.llm_calls if call.span_id == span_id] or trace.llm_calls
    return calls[0].response_id if len(calls) == 1 else None


def _text(value: str) -> str:
    """Text as protobuf can hold it, of bounded length."""
    return value[:_TEXT_RUNES].encode("utf-8", "replace").decode()
