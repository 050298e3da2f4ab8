"""A shop assistant instrumented with the OpenTelemetry SDK: RAG with a tool, in the GenAI conventions, over OTLP.

It is the traffic of the tests that need a real exporter at the other end: real batching, real encoders, real retries.
What it says comes from a seed and a start time, so that a run can be repeated and its answers are known beforehand.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from opentelemetry import trace as api
from opentelemetry._logs import Logger, LogRecord
from opentelemetry.sdk.trace import Span, Tracer

from tests.real.knowledge import Ask, Document, asks
from tests.real.telemetry import Protocol, Sender, Undelivered

Content = Literal["span", "event"]
Attributes = dict[str, Any]

MODEL = "gpt-4o-mini"
SCOPE = "opentelemetry.instrumentation.genai.openai"
DETAILS_EVENT = "gen_ai.client.inference.operation.details"
_MS = 1_000_000
_SYSTEM = "Answer from the given passages only. If they do not hold the answer, say so."


@dataclass(frozen=True)
class AppTrace:
    """One exchange as it was sent: what a test compares the results with."""

    trace_id: str  # lower-case hexadecimal
    start_ns: int
    end_ns: int
    spans: int
    question: str
    documents: tuple[Document, ...]
    answer: str
    prompt_version: str
    content: Content  # where the messages went: span attributes, or log events that join them
    grounded: bool
    refused: bool
    tool_failed: bool


@dataclass(frozen=True)
class AppRun:
    """Everything one run sent; `undelivered` counts the spans and log records that no success was received for."""

    traces: tuple[AppTrace, ...]
    undelivered: Undelivered

    @property
    def spans(self) -> int:
        return sum(trace.spans for trace in self.traces)


@dataclass(frozen=True)
class Settings:
    """What varies between runs besides the seed. Times are nanoseconds of event time."""

    service: str = "shop-assistant"
    version: str = "1.4.2"
    spacing_ns: int = 1_000 * _MS
    content: Literal["span", "event", "mixed"] = "mixed"  # mixed: events for every second trace
    regress_after: int | None = None  # from this trace on: prompt v2, which makes things up and refuses
    compress: bool = True
    timeout_seconds: float = 10.0
    headers: Mapping[str, str] = field(default_factory=dict)


def run_app(
    endpoint: str, protocol: Protocol, traces: int, seed: int, start_ns: int, settings: Settings | None = None
) -> AppRun:
    """Send `traces` exchanges to `endpoint` (`http://host:port`) and return when each is delivered or given up.

    The first starts at `start_ns` (Unix nanoseconds), each next one `spacing_ns` later, all with explicit times.
    """
    chosen = settings or Settings()
    resource = {
        "service.name": chosen.service,
        "service.version": chosen.version,
        "deployment.environment.name": "production",
    }
    with Sender(endpoint, protocol, resource, seed, chosen.headers, chosen.compress, chosen.timeout_seconds) as sender:
        tracer, logger = sender.tracer(SCOPE), sender.logger(SCOPE)
        sent = []
        for number, ask in enumerate(asks(seed, traces, chosen.regress_after)):
            begin = start_ns + number * chosen.spacing_ns
            sent.append(_Exchange(tracer, logger, begin, ask, _content_of(number, chosen)).send())
            sender.flush_when_full()
    return AppRun(tuple(sent), sender.undelivered)


def _content_of(number: int, settings: Settings) -> Content:
    if settings.content == "mixed":
        return "event" if number % 2 else "span"
    return settings.content


class _Exchange:
    """One question and its answer, as the instrumentation of an agent framework tells it."""

    def __init__(self, tracer: Tracer, logger: Logger, start_ns: int, ask: Ask, content: Content) -> None:
        self._tracer = tracer
        self._logger = logger
        self._start_ns = self._now = start_ns
        self._ask = ask
        self._content: Content = content
        self._spans = 0

    def send(self) -> AppTrace:
        ask = self._ask
        root = self._open("invoke_agent shop-assistant", api.SpanKind.INTERNAL, None, self._agent_attributes())
        self._retrieve(root)
        messages = [_text("system", _SYSTEM), _text("user", self._prompt())]
        answer = ask.answer
        if ask.tool is not None:
            call = {"type": "tool_call", "id": "call_1", "name": ask.tool.name, "arguments": ask.tool.arguments}
            asked = {"role": "assistant", "parts": [call], "finish_reason": "tool_call"}
            self._chat(root, messages, asked, "tool_calls")
            result = self._run_tool(root)
            response = {"type": "tool_call_response", "id": "call_1", "response": result}
            messages = [*messages, asked, {"role": "tool", "parts": [response]}]
        self._chat(root, messages, {**_text("assistant", answer.text), "finish_reason": "stop"}, "stop")
        self._close(root, 2)
        return AppTrace(
            trace_id=f"{root.get_span_context().trace_id:032x}",
            start_ns=self._start_ns,
            end_ns=self._now,
            spans=self._spans,
            question=ask.question,
            documents=ask.documents,
            answer=answer.text,
            prompt_version=ask.prompt_version,
            content=self._content,
            grounded=answer.grounded,
            refused=answer.refused,
            tool_failed=ask.tool is not None and ask.tool.error is not None,
        )

    # --- the steps ---

    def _agent_attributes(self) -> Attributes:
        return {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "shop-assistant",
            "gen_ai.conversation.id": self._ask.conversation_id,
            "user.id": self._ask.user_id,
            "gen_ai.prompt.name": "shop-answer",
            "gen_ai.prompt.version": self._ask.prompt_version,
        }

    def _retrieve(self, parent: Span) -> None:
        documents = [{"id": one.id, "score": one.score, "content": one.text} for one in self._ask.documents]
        span = self._open(
            "retrieval shop-manual",
            api.SpanKind.CLIENT,
            parent,
            {
                "gen_ai.operation.name": "retrieval",
                "gen_ai.data_source.id": "shop-manual",
                "gen_ai.retrieval.query.text": self._ask.question,
                "gen_ai.retrieval.top_k": len(documents),
                "gen_ai.retrieval.documents": json.dumps(documents),
            },
        )
        self._close(span, 15 + self._ask.slowness_ms // 20)

    def _chat(self, parent: Span, messages: Sequence[Attributes], output: Attributes, finish_reason: str) -> None:
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": MODEL,
            "gen_ai.prompt.version": self._ask.prompt_version,
        }
        span = self._open(f"chat {MODEL}", api.SpanKind.CLIENT, parent, attributes)
        answered: Attributes = {
            "gen_ai.response.model": f"{MODEL}-2024-07-18",
            "gen_ai.response.id": f"chatcmpl-{span.get_span_context().span_id:016x}",
            "gen_ai.response.finish_reasons": [finish_reason],
            "gen_ai.usage.input_tokens": len(json.dumps(messages)) // 4,
            "gen_ai.usage.output_tokens": len(json.dumps(output)) // 4,
        }
        span.set_attributes(answered)
        content = {"gen_ai.input.messages": list(messages), "gen_ai.output.messages": [output]}
        if self._content == "span":
            span.set_attributes({key: json.dumps(value) for key, value in content.items()})
        self._close(span, 200 + self._ask.slowness_ms)
        if self._content == "event":
            self._tell(span, {**attributes, **answered, **content})

    def _run_tool(self, parent: Span) -> str:
        tool = self._ask.tool
        assert tool is not None
        span = self._open(
            f"execute_tool {tool.name}",
            api.SpanKind.INTERNAL,
            parent,
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": tool.name,
                "gen_ai.tool.type": "function",
                "gen_ai.tool.call.id": "call_1",
                "gen_ai.tool.call.arguments": json.dumps(tool.arguments),
            },
        )
        if tool.error is None:
            span.set_attribute("gen_ai.tool.call.result", tool.result)
        else:
            span.set_attribute("error.type", "TimeoutError")
            span.set_status(api.StatusCode.ERROR, tool.error)
        self._close(span, 40)
        return tool.result if tool.error is None else f"error: {tool.error}"

    def _prompt(self) -> str:
        passages = "\n\n".join(f"[{one.id}] {one.text}" for one in self._ask.documents)
        return f"Passages:\n{passages}\n\nQuestion: {self._ask.question}"

    # --- spans and events with explicit times ---

    def _open(self, name: str, kind: api.SpanKind, parent: Span | None, attributes: Attributes) -> Span:
        """Each step begins a millisecond after what came before."""
        self._now += _MS
        self._spans += 1
        context = None if parent is None else api.set_span_in_context(parent)
        span = self._tracer.start_span(name, context, kind, attributes, start_time=self._now)
        assert isinstance(span, Span)
        return span

    def _close(self, span: Span, after_ms: int) -> None:
        self._now += after_ms * _MS
        span.end(self._now)

    def _tell(self, span: Span, attributes: Attributes) -> None:
        self._logger.emit(
            LogRecord(
                timestamp=self._now,
                observed_timestamp=self._now,
                context=api.set_span_in_context(span),
                event_name=DETAILS_EVENT,
                attributes=attributes,
            )
        )


def _text(role: str, content: str) -> Attributes:
    return {"role": role, "parts": [{"type": "text", "content": content}]}


__all__ = ["AppRun", "AppTrace", "Settings", "run_app"]
