"""LiteLLM's own callback `otel`: SDK and proxy.

`litellm_request` tells the call by the OpenTelemetry conventions, under the name of the function that was called
(`acompletion`, `aresponses`). `raw_gen_ai_request` below it repeats the provider's own request and answer as
`llm.<provider>.<field>`, lists and maps as the `repr` of Python: only there stand the ids of tool calls and the
provider's own id of an answer. Read from LiteLLM 1.110.
"""

from dataclasses import dataclass, replace

from collector.core.model import JSON
from collector.dialects.conversations import FlatCalls
from collector.dialects.mapping import Kind, KindBy, first
from collector.dialects.messages import read_turns
from collector.dialects.otel import KNOWN, LLM, OPERATIONS, OTEL, by_shape
from collector.dialects.sources import IndexedRecords, Literal
from collector.dialects.turns import Turn
from collector.dialects.values import at, structured, word
from collector.dialects.view import View

_MODEL_FUNCTIONS = ("completion", "text_completion", "responses", "anthropic_messages", "generate_content")
_FUNCTIONS: dict[str, Kind] = {
    **dict.fromkeys((*_MODEL_FUNCTIONS, *("a" + name for name in _MODEL_FUNCTIONS)), "llm"),
    **dict.fromkeys(("embedding", "aembedding", "embeddings", "aembeddings"), "embedding"),
}
_ANSWER_FIELDS = ("choices", "content", "output")


def _raw(view: View, name: str) -> JSON:
    """The field of the provider's own request or answer: `llm.openai.usage`, whatever the provider is called."""
    for key, value in view.attributes.items():
        if key.startswith("llm.") and key.endswith("." + name) and key.count(".") == 2:
            return value
    return None


def raw_answer(view: View) -> Kind | None:
    """The span that repeats the provider's own answer, `llm.<provider>.*`"""
    if "litellm.call_id" in view.attributes or "gen_ai.request.model" in view.attributes:
        return None
    answers = (_raw(view, name) for name in _ANSWER_FIELDS)
    return "llm" if _raw(view, "id") is not None and any(answer is not None for answer in answers) else None


@dataclass(frozen=True, slots=True)
class Raw:
    """A field of the provider's own request or answer."""

    name: str
    path: tuple[str | int, ...] = ()

    def __call__(self, view: View) -> JSON:
        value = _raw(view, self.name)
        if not self.path:
            return value
        return at(structured(value), *self.path)

    def __str__(self) -> str:
        return f"`llm.<provider>.{self.name}`" + "".join(f" → `{step}`" for step in self.path)


def raw_messages(view: View) -> list[Turn]:
    """The answer in the provider's own form, `llm.<provider>.{choices,content,output}`"""
    for name in _ANSWER_FIELDS:
        answer = structured(_raw(view, name))
        if isinstance(answer, list) and answer:
            if name == "choices":
                return read_turns(at(answer, 0, "message"), "assistant")
            return read_turns(answer if name == "output" else {"role": "assistant", "content": answer}, "assistant")
    return []


def serving_provider(view: View) -> JSON:
    """`litellm.provider.model` up to its slash"""
    provider, slash, _ = (word(view.attributes.get("litellm.provider.model")) or "").partition("/")
    return provider if slash else None


def model_without_provider(view: View) -> JSON:
    """`gen_ai.request.model`, without LiteLLM's prefix that says which provider serves it"""
    model = word(view.attributes.get("gen_ai.request.model"))
    provider = first(view, (*LLM["provider"], serving_provider), word)
    return model.removeprefix(provider + "/") if model and provider else model


LITELLM = replace(
    OTEL,
    name="litellm",
    scopes=("litellm",),
    markers=("litellm.call_id",),
    kinds=(
        raw_answer,
        KindBy("openinference.span.kind", {"GUARDRAIL": "step"}),
        KindBy("gen_ai.operation.name", {**OPERATIONS, **_FUNCTIONS}),
        KindBy("llm.request.type", _FUNCTIONS),
        by_shape,
    ),
    llm={
        **LLM,
        "provider": (*LLM["provider"], serving_provider),
        "request_model": (model_without_provider,),
        "response_model": (*LLM["response_model"], Raw("model")),
        "response_id": (*LLM["response_id"], Raw("id")),
        "finish_reason": (*LLM["finish_reason"], Raw("choices", (0, "finish_reason")), Raw("stop_reason")),
        "cached_input_tokens": (
            *LLM["cached_input_tokens"],
            Literal("metadata.usage_object", ("prompt_tokens_details", "cached_tokens")),
        ),
        "reasoning_tokens": (
            *LLM["reasoning_tokens"],
            Literal("metadata.usage_object", ("completion_tokens_details", "reasoning_tokens")),
        ),
    },
    output=(
        raw_messages,
        FlatCalls("gen_ai.output.messages", "gen_ai.completion"),
        *OTEL.output,
    ),
    tool_definitions=(*OTEL.tool_definitions, IndexedRecords("llm.request.functions")),
    known=(
        *KNOWN,
        *("llm.*", "metadata.*", "hidden_params", "litellm.cache_hit", "gen_ai.cost.*"),
        *("error.code", "error.llm_provider", "error.message", "error.stack_trace"),
    ),
)
