"""The words of the house as types: spans as they arrive, operations as they are understood, traces as they are scored.

Times are Unix nanoseconds, ids are lower-case hexadecimal text (binary only in slices), durations are seconds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

JSON: TypeAlias = Any  # None | bool | int | float | str | list[JSON] | dict[str, JSON]
Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "error"]

STATUS_ERROR = 2


# --- as it arrives: undecoded ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Origin:
    """What the spans of one ScopeSpans (or ScopeLogs) have in common, still encoded; shared by all their slices."""

    resource: bytes
    scope: bytes
    schema_url: str = ""


@dataclass(slots=True)  # frozen would cost four times as much to make
class SpanSlice:
    """One span as the bytes of its protobuf message, with the few header fields that assembly and sampling need."""

    trace_id: bytes  # 16 bytes
    span_id: bytes  # 8 bytes
    parent_id: bytes  # 8 bytes, or empty for a root
    start_ns: int
    end_ns: int
    status_code: int
    trace_state: str
    raw: bytes
    origin: Origin


@dataclass(slots=True)  # frozen would cost four times as much to make
class LogSlice:
    """One log record that belongs to a span, as the bytes of its protobuf message."""

    trace_id: bytes
    span_id: bytes  # may be empty
    time_ns: int
    raw: bytes
    origin: Origin


# --- as it arrives: decoded --------------------------------------------------------------------------------------


@dataclass(slots=True)
class SpanEvent:
    name: str
    time_ns: int
    attributes: dict[str, JSON]


@dataclass(slots=True)
class Span:
    """One decoded span. Attribute values are plain Python: lists, dicts, and base64 text for bytes."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: dict[str, JSON]
    events: list[SpanEvent]
    links: list[tuple[str, str]]  # (trace id, span id)
    status_code: int  # 0 unset, 1 OK, 2 error
    status_message: str
    scope_name: str
    scope_version: str
    resource: dict[str, JSON]
    truncated: bool = False  # something was over a limit, here or at the sender, and was cut or left out

    @property
    def failed(self) -> bool:
        return self.status_code == STATUS_ERROR


@dataclass(slots=True)
class LogEvent:
    """One decoded log record of a trace: some dialects carry prompts and answers only here."""

    trace_id: str
    span_id: str | None
    event_name: str
    time_ns: int
    body: JSON
    attributes: dict[str, JSON]
    scope_name: str
    resource: dict[str, JSON]
    truncated: bool = False  # as of a span


# --- as it is understood -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Failure:
    """Why an operation failed: the exception or provider error as the library reported it."""

    type: str | None = None
    message: str | None = None


@dataclass(slots=True)
class RequestedCall:
    """A tool call that a model asked for. `arguments` is a JSON value, or the raw text where it is not JSON."""

    name: str
    arguments: JSON = None
    id: str | None = None


MediaKind: TypeAlias = Literal["image", "audio", "video", "file"]


@dataclass(slots=True)
class Media:
    """An image, sound or file in a message: what it is and where, never its content.

    reference: its address without what follows a `?`, its id with the provider, or its name; None if it was in the
    message itself, which then tells its size. size_bytes: of what was in the message.
    """

    kind: MediaKind
    mime_type: str | None = None
    reference: str | None = None
    size_bytes: int | None = None


@dataclass(slots=True)
class Message:
    role: Role
    text: str | None = None
    tool_calls: list[RequestedCall] = field(default_factory=list)
    tool_call_id: str | None = None
    has_image: bool = False
    media: list[Media] = field(default_factory=list)


@dataclass(slots=True)
class Document:
    """A retrieved passage. `score` is the retriever's own, in its own unit."""

    text: str | None = None
    id: str | None = None
    score: float | None = None


@dataclass(slots=True)
class Operation:
    """One normalised step of a trace. `span_id` is None where the step is only known from messages."""

    span_id: str | None
    start_ns: int = 0
    end_ns: int = 0
    error: Failure | None = None

    @property
    def seconds(self) -> float:
        return max(0, self.end_ns - self.start_ns) / 1e9


CostSource: TypeAlias = Literal["exported", "computed"]


@dataclass(slots=True)
class LLMCall(Operation):
    """One call of a model provider, however many spans described it.

    input_tokens: with those read from the provider's cache (`cached_`) and written to it (`cache_write_`).
    output_tokens: with those of reasoning. first_token_seconds: from the start of a streamed call to its first chunk.
    cost_usd: what the library exported, otherwise the list price; None if nobody knows, never zero for that.
    """

    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    input_messages: list[Message] = field(default_factory=list)
    output_text: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    finish_reason: FinishReason | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    first_token_seconds: float | None = None
    cost_usd: float | None = None
    cost_source: CostSource | None = None
    tool_calls: list[RequestedCall] = field(default_factory=list)
    tool_definitions: list[dict[str, JSON]] = field(
        default_factory=list
    )  # {name, description, parameters: JSON Schema}
    output_schema: JSON = None  # the JSON Schema that the answer was asked to follow; True: any JSON object
    dialect: str = ""
    repeated: bool = False  # another trace told this call before: its tokens and cost are counted there

    @property
    def model(self) -> str | None:
        return self.response_model or self.request_model


@dataclass(slots=True)
class ToolCall(Operation):
    """One run of a tool."""

    name: str = ""
    arguments: JSON = None
    result: JSON = None
    id: str | None = None


@dataclass(slots=True)
class Retrieval(Operation):
    query: str | None = None
    documents: list[Document] = field(default_factory=list)


@dataclass(slots=True)
class Embedding(Operation):
    model: str | None = None
    input_tokens: int | None = None
    provider: str | None = None
    cost_usd: float | None = None
    cost_source: CostSource | None = None


@dataclass(slots=True)
class AgentStep(Operation):
    name: str | None = None


@dataclass(slots=True)
class Link:
    """What a trace says it follows: a queue's consumer its message, a batch its items, a later run the run before."""

    trace_id: str
    span_id: str
    from_span_id: str  # the span of this trace that says so


@dataclass(slots=True)
class Repeat:
    """A model call left out of a trace since it belongs to another, which tells more of it or told it first."""

    span_id: str | None
    trace_id: str  # of the other


@dataclass(slots=True)
class Trace:
    """What scorers see: one request of the application, understood.

    `question`, `answer` and `contexts` are what the person asked, what the application finally said, and the retrieved
    texts it had; each is None or empty where the spans do not tell.
    """

    trace_id: str
    start_ns: int = 0
    end_ns: int = 0
    name: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    prompt_name: str | None = None
    prompt_version: str | None = None
    error: bool = False
    dialects: list[str] = field(default_factory=list)
    resource: dict[str, JSON] = field(default_factory=dict)
    llm_calls: list[LLMCall] = field(default_factory=list)
    tool_executions: list[ToolCall] = field(default_factory=list)
    retrievals: list[Retrieval] = field(default_factory=list)
    embeddings: list[Embedding] = field(default_factory=list)
    agent_steps: list[AgentStep] = field(default_factory=list)
    question: str | None = None
    answer: str | None = None
    contexts: list[str] = field(default_factory=list)
    reference: str | None = None  # a known right answer; only in data sets
    links: list[Link] = field(default_factory=list)  # to other traces
    repeats: list[Repeat] = field(default_factory=list)
    span_count: int = 0
    incomplete: bool = False  # given up at a limit before its root ended
    root_span_id: str | None = None
    tenant: str = ""  # whose it is; empty where there are no tenants
    truncated: bool = False  # something of it was over a limit, here or at the sender, and was cut or left out

    @property
    def seconds(self) -> float:
        return max(0, self.end_ns - self.start_ns) / 1e9

    @property
    def cost_usd(self) -> float | None:
        """Of all calls whose cost is known; None if of none."""
        steps: list[LLMCall | Embedding] = [*self.llm_calls, *self.embeddings]
        known = [step.cost_usd for step in steps if step.cost_usd is not None]
        return sum(known) if known else None

    @property
    def owned_id(self) -> str:
        """The trace id and, after it, the tenant, in hexadecimal: what tells it from another tenant's."""
        return self.trace_id + self.tenant.encode().hex()

    @property
    def service(self) -> str:
        return str(self.resource.get("service.name") or "unknown_service")

    def operations(self) -> Iterator[Operation]:
        """All steps in order of their start."""
        steps: list[Operation] = [
            *self.llm_calls,
            *self.tool_executions,
            *self.retrievals,
            *self.embeddings,
            *self.agent_steps,
        ]
        return iter(sorted(steps, key=lambda step: (step.start_ns, step.span_id or "")))


@dataclass(slots=True)
class ToolUse:
    """A run of a tool, as a session remembers it. `arguments` is the beginning of them, as JSON or as told."""

    name: str
    arguments: str | None = None
    failed: bool = False


@dataclass(slots=True)
class Turn:
    """A trace, as its session remembers it: the first 2,000 characters of question and answer, the first tool runs."""

    trace_id: str
    start_ns: int = 0
    end_ns: int = 0
    question: str | None = None
    answer: str | None = None
    tools: list[ToolUse] = field(default_factory=list)
    error: bool = False
    incomplete: bool = False


@dataclass(slots=True)
class Session:
    """What scorers of sessions see: the turns of one conversation with one service, in order of their start.

    `incomplete` if turns are missing: it was too long or too old to wait for its end, or memory was needed; or if a
    turn is itself incomplete.
    """

    session_id: str
    service: str = "unknown_service"
    turns: list[Turn] = field(default_factory=list)
    incomplete: bool = False

    @property
    def start_ns(self) -> int:
        return min([turn.start_ns for turn in self.turns], default=0)

    @property
    def end_ns(self) -> int:
        return max([turn.end_ns for turn in self.turns], default=0)

    @property
    def seconds(self) -> float:
        """From the start of the first turn to the end of the last, pauses included."""
        return max(0, self.end_ns - self.start_ns) / 1e9

    @property
    def error(self) -> bool:
        return any(turn.error for turn in self.turns)


Slices: TypeAlias = Mapping[str, str]
"""The low-cardinality attributes of a trace, by the names of the configuration: {"service": "shop", ...}."""
