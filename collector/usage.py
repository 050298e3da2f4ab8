"""Calls, tokens, cost and times of models as metrics."""

from collections import defaultdict
from collections.abc import Iterable

from collector.core.model import Embedding, LLMCall
from collector.core.telemetry import Labels, Telemetry

_SECONDS_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 120.0)
_LONGEST_LABEL = 100
_UNKNOWN = "unknown"
_TOKENS = ("input", "output", "cached_input", "cache_write", "reasoning")


class UsageTally:
    """What traces add to the metrics."""

    def __init__(self) -> None:
        self.calls: defaultdict[Labels, float] = defaultdict(float)
        self.tokens: defaultdict[Labels, float] = defaultdict(float)
        self.dollars: defaultdict[Labels, float] = defaultdict(float)
        self.seconds: defaultdict[Labels, list[float]] = defaultdict(list)
        self.first_token_seconds: defaultdict[Labels, list[float]] = defaultdict(list)

    def add(self, calls: Iterable[LLMCall], embeddings: Iterable[Embedding]) -> None:
        """Count the model calls of a trace, but for those that another trace told before."""
        for call in calls:
            if not call.repeated:
                self._add_call(call)
        for step in embeddings:
            model = (step.provider or _UNKNOWN)[:_LONGEST_LABEL], (step.model or _UNKNOWN)[:_LONGEST_LABEL]
            self.calls[*model, "error" if step.error is not None else "ok"] += 1
            if step.input_tokens:
                self.tokens[*model, "input"] += step.input_tokens
            if step.cost_usd is not None:
                self.dollars[*model, step.cost_source or _UNKNOWN] += step.cost_usd

    def _add_call(self, call: LLMCall) -> None:
        model = (call.provider or _UNKNOWN)[:_LONGEST_LABEL], (call.model or _UNKNOWN)[:_LONGEST_LABEL]
        self.calls[*model, "ok" if call.error is None else "error"] += 1
        numbers = (
            *(call.input_tokens, call.output_tokens, call.cached_input_tokens),
            *(call.cache_write_input_tokens, call.reasoning_tokens),
        )
        for kind, number in zip(_TOKENS, numbers, strict=True):
            if number:
                self.tokens[*model, kind] += number
        if call.cost_usd is not None:
            self.dollars[*model, call.cost_source or _UNKNOWN] += call.cost_usd
        self.seconds[model].append(call.seconds)
        if call.first_token_seconds is not None:
            self.first_token_seconds[model].append(call.first_token_seconds)


class UsageMetrics:
    """The instruments."""

    def __init__(self, telemetry: Telemetry) -> None:
        labels = ("provider", "model")
        self._calls = telemetry.counter(
            "driftline_model_calls",
            "Calls of models in evaluated traces, each once however many spans or traces tell it, as far as is known.",
            (*labels, "outcome"),
            fold=labels,
        )
        self._tokens = telemetry.counter(
            "driftline_model_tokens",
            "Tokens of model calls in evaluated traces. `cached_input` and `cache_write` are part of `input`, "
            "`reasoning` of `output`.",
            (*labels, "kind"),
            unit="tokens",
            fold=labels,
        )
        self._dollars = telemetry.counter(
            "driftline_model_cost_dollars",
            "Cost of model calls in evaluated traces, where it is known: exported by the library, or computed from "
            "list prices.",
            (*labels, "source"),
            unit="dollars",
            fold=labels,
        )
        self._seconds = telemetry.histogram(
            "driftline_model_call_seconds",
            "How long calls of models took.",
            labels,
            buckets=_SECONDS_BUCKETS,
            unit="seconds",
            fold=labels,
        )
        self._first_token_seconds = telemetry.histogram(
            "driftline_model_first_token_seconds",
            "From the start of a streamed call to its first chunk.",
            labels,
            buckets=_SECONDS_BUCKETS,
            unit="seconds",
            fold=labels,
        )

    def record(self, tally: UsageTally) -> None:
        """Count many calls at once."""
        self._calls.add_all(tally.calls)
        self._tokens.add_all(tally.tokens)
        self._dollars.add_all(tally.dollars)
        for labels, seconds in tally.seconds.items():
            self._seconds.observe_all(seconds, *labels)
        for labels, seconds in tally.first_token_seconds.items():
            self._first_token_seconds.observe_all(seconds, *labels)
