"""OpenInference (Arize): `openinference.span.kind` and flat, indexed message keys.

Specification: github.com/Arize-ai/openinference, `spec/`, semantic conventions 0.1.42. What the flat keys leave out
(answer id, schema, finish reason) is looked up in the raw request and response in `input.value` and `output.value`.
"""

from dataclasses import dataclass

from collector.core.model import JSON, Role
from collector.dialects.conversations import Messages, OpenInferenceMessages
from collector.dialects.mapping import Dialect, KindBy, Sources, first
from collector.dialects.messages import read_turns
from collector.dialects.otel import COST
from collector.dialects.reprs import complete_from_repr
from collector.dialects.sources import (
    Documents,
    EventTime,
    Indexed,
    Json,
    OpenInferenceDocuments,
    Repr,
    SpanName,
    within,
)
from collector.dialects.turns import Turn
from collector.dialects.values import at, text, word
from collector.dialects.view import View

_LANGCHAIN = "generations.0.0.message.kwargs."
_RAW = Json("output.value", ("raw",))  # smolagents: the `repr` of the provider's answer
_REPLY = Json("output.value", ("replies", 0))  # Haystack: the `repr` of its message


_REQUEST_MODEL: Sources = (
    "llm.request.model_name",
    *within("llm.invocation_parameters", "model", "model_name"),
    *within("input.value", "model"),
    "llm.model_name",
)
_RESPONSE_MODEL: Sources = (
    "llm.response.model_name",
    *within("output.value", "model", "raw.model", _LANGCHAIN + "response_metadata.model_name"),
    Repr(_RAW, "model"),
    Repr(_REPLY, "model"),
    "llm.model_name",
)
_LITELLM_PROVIDERS = frozenset(
    {
        *("openai", "anthropic", "azure", "azure_ai", "bedrock", "sagemaker", "gemini", "vertex_ai", "mistral"),
        *("cohere", "cohere_chat", "deepseek", "groq", "xai", "perplexity", "fireworks_ai", "together_ai"),
        *("replicate", "ollama", "ollama_chat", "openrouter", "vllm", "hosted_vllm"),
    }
)


@dataclass(frozen=True, slots=True)
class Unprefixed:
    """A model, without LiteLLM's prefix that says which provider serves it."""

    sources: Sources

    def __call__(self, view: View) -> JSON:
        model = first(view, self.sources, word)
        if model is None or "/" not in model:
            return model
        prefix, _, rest = model.partition("/")
        by_litellm = view.span.scope_name.endswith((".litellm", ".dspy")) and prefix in _LITELLM_PROVIDERS
        return rest if by_litellm or prefix == first(view, ("llm.provider", "llm.system"), word) else model

    def __str__(self) -> str:
        return ", ".join(f"`{source}`" if isinstance(source, str) else str(source) for source in self.sources)


_PREPARES = ".llama_index"
_SIGNS_OF_A_CALL = ("llm.model_name", "llm.invocation_parameters", "llm.token_count.prompt")


@dataclass(frozen=True, slots=True)
class Raw:
    """The request or answer as it went over the wire, for a model whose messages the library does not take apart.

    Only where the span shows a call, and not for LlamaIndex, which has spans of kind LLM that only prepare one.
    """

    key: str
    role: Role

    def __call__(self, view: View) -> list[Turn]:
        attributes = view.attributes
        if self.key not in attributes or not any(sign in attributes for sign in _SIGNS_OF_A_CALL):
            return []
        if view.span.scope_name.endswith(_PREPARES):
            return []
        value = view.json(self.key)
        if isinstance(value, str) and (value in ("None", "null") or (value[:1] == "<" and " object at 0x" in value)):
            return []  # the `repr` of a Python object that nobody wrote out
        return read_turns(value, self.role)

    def __str__(self) -> str:
        return f"`{self.key}`"


_MESSAGE_ID = Json("output.value", ("generations", 0, 0, "message", "kwargs", "id"))


def langchain_message_id(view: View) -> JSON:
    """The id of LangChain's message, where it is the provider's: LangChain's own begin with `run-` or `lc_`"""
    found = _MESSAGE_ID(view)
    return None if isinstance(found, str) and found.startswith(("run-", "lc_")) else found


_PROMPT = OpenInferenceMessages("llm.input_messages", "user")
_ANSWER = OpenInferenceMessages("llm.output_messages", "assistant")


def prompt(view: View) -> list[Turn]:
    """`llm.input_messages.N.message.*`; Haystack's tool calls and results in it from their `repr` in `input.value`"""
    turns = _PROMPT(view)
    if any(turn.role == "tool" and turn.tool_call_id is None for turn in turns):
        written = at(view.json("input.value"), "messages")
        if isinstance(written, list) and len(written) == len(turns):
            for turn, said in zip(turns, written, strict=True):
                if isinstance(said, str):
                    complete_from_repr(turn, said)
    return turns


def answer(view: View) -> list[Turn]:
    """`llm.output_messages.N.message.*`; with AutoGen's tool calls, what was said in `output.value` → `thought`"""
    turns = _ANSWER(view)
    if len(turns) == 1 and turns[0].tool_calls and not turns[0].texts:
        said = text(at(view.json("output.value"), "thought"))
        turns[0].texts.extend([said] if said else ())
    return turns


def thought(view: View) -> JSON:
    """`output.value` → `thought`, AutoGen's, beside an answer in words"""
    told = view.json("output.value")
    return told.get("thought") if isinstance(told, dict) and isinstance(told.get("content"), str) else None


OPENINFERENCE = Dialect(
    name="openinference",
    scopes=("openinference.instrumentation", "@arizeai/openinference-"),
    markers=("openinference.span.kind",),
    kinds=(
        KindBy(
            "openinference.span.kind",
            {
                "LLM": "llm",
                "TOOL": "tool",
                "RETRIEVER": "retrieval",
                "EMBEDDING": "embedding",
                "AGENT": "agent",
                "CHAIN": "step",
                "PROMPT": "step",
                "RERANKER": "step",
                "GUARDRAIL": "step",
                "EVALUATOR": "step",
            },
        ),
    ),
    llm={
        "provider": ("llm.system", "llm.provider", *within("metadata", "ls_provider")),
        "request_model": (Unprefixed(_REQUEST_MODEL),),
        "response_model": (Unprefixed(_RESPONSE_MODEL),),
        "response_id": (
            *within(
                "output.value", "id", "raw.id", "llm_output.id", _LANGCHAIN + "response_metadata.id", "response_id"
            ),
            Repr(_RAW, "id"),
            langchain_message_id,
        ),
        "reasoning": (thought,),
        "refusal": within("output.value", "choices.0.message.refusal", "refusal"),
        "finish_reason": (
            "llm.finish_reason",
            *within(
                "output.value",
                "choices.0.finish_reason",
                "stop_reason",
                "finish_reason",
                "generations.0.0.generation_info.finish_reason",
            ),
            "llm.output_messages.0.message.finish_reason",
            Repr(_RAW, "finish_reason"),
            Repr(_REPLY, "finish_reason"),
        ),
        "input_tokens": ("llm.token_count.prompt",),
        "output_tokens": ("llm.token_count.completion",),
        "cached_input_tokens": (
            "llm.token_count.prompt_details.cache_read",
            Repr(_RAW, "cached_tokens"),
            Repr(_REPLY, "cached_tokens"),
        ),
        "reasoning_tokens": (
            "llm.token_count.completion_details.reasoning",
            Repr(_RAW, "reasoning_tokens"),
            Repr(_REPLY, "reasoning_tokens"),
        ),
        "cache_write_input_tokens": ("llm.token_count.prompt_details.cache_write",),
        "first_token_seconds": (EventTime(("First Token Stream Event",)),),
        "cost_usd": ("llm.cost.total", *COST),
    },
    input=(
        prompt,
        Messages("llm.prompts.0.prompt.text"),
        Raw("input.value", "user"),
        Raw("llm.invocation_parameters", "user"),
    ),
    output=(
        answer,
        Messages("llm.choices.0.completion.text", role="assistant"),
        Messages("output.value", ("choices", 0, "message"), "assistant"),
        Raw("output.value", "assistant"),
    ),
    tool_definitions=(
        Indexed("llm.tools", "tool.json_schema"),
        *within("llm.invocation_parameters", "tools"),
        *within("input.value", "tools", "kwargs.tools"),
    ),
    output_schema=(
        *within("llm.invocation_parameters", "response_format", "text.format"),
        *within("input.value", "response_format", "text.format"),
    ),
    tool={
        "name": ("tool.name", SpanName()),
        "id": ("tool.id", "tool.call_id", "tool_call.id", *within("output.value", "data.tool_call_id")),
        "arguments": ("tool_call.function.arguments", Json("input.value")),
        "result": (Json("output.value"),),
    },
    query=(Json("input.value"),),
    documents=(
        OpenInferenceDocuments("retrieval.documents"),
        OpenInferenceDocuments("reranker.output_documents"),
        Documents("output.value"),
    ),
    embedding={
        "model": ("embedding.model_name",),
        "input_tokens": ("llm.token_count.prompt", "llm.token_count.total"),
        "provider": ("llm.system", "llm.provider"),
        "cost_usd": ("llm.cost.total",),
    },
    agent_name=("agent.name", "graph.node.id"),
    step_input=("input.value", *within("crew_tasks", "0.description")),
    step_output=("output.value",),
    known=(
        *("input.mime_type", "output.mime_type", "tool.description", "tool.parameters", "metadata", "tag.tags"),
        *("llm.prompt_template.template", "llm.prompt_template.variables", "embedding.embeddings.*"),
        *("embedding.invocation_parameters", "smolagents.max_steps", "smolagents.tools_names"),
        *("llm.cost.*", "crew_*", "task_id", "task_key", "agno.*", "graph.node.*"),
        *("tool.cache_function", "tool.current_usage_count", "tool.description_updated", "tool.result_as_answer"),
        *("llm.token_count.prompt_details.audio", "llm.token_count.completion_details.audio"),
    ),
)
