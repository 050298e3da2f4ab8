"""OpenInference (Arize): `openinference.span.kind` and flat, indexed message keys.

Specification: github.com/Arize-ai/openinference, `spec/`, semantic conventions 0.1.42. What the flat keys leave out
(answer id, schema, finish reason) is looked up in the raw request and response in `input.value` and `output.value`.
"""

from collector.dialects.conversations import Messages, OpenInferenceMessages
from collector.dialects.mapping import Dialect, KindBy
from collector.dialects.otel import COST
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

_LANGCHAIN = "generations.0.0.message.kwargs."
_RAW = Json("output.value", ("raw",))  # smolagents: the `repr` of the provider's answer

OPENINFERENCE = Dialect(
    name="openinference",
    scopes=("openinference.instrumentation",),
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
        "provider": ("llm.system", "llm.provider"),
        "request_model": (
            "llm.request.model_name",
            *within("llm.invocation_parameters", "model", "model_name"),
            *within("input.value", "model"),
            "llm.model_name",
        ),
        "response_model": (
            "llm.response.model_name",
            *within("output.value", "model", "raw.model", _LANGCHAIN + "response_metadata.model_name"),
            Repr(_RAW, "model"),
            "llm.model_name",
        ),
        "response_id": (
            *within(
                "output.value", "id", "raw.id", "llm_output.id", _LANGCHAIN + "response_metadata.id", "response_id"
            ),
            Repr(_RAW, "id"),
        ),
        "refusal": within("output.value", "choices.0.message.refusal", "refusal"),
        "finish_reason": (
            "llm.finish_reason",
            *within(
                "output.value",
                "choices.0.finish_reason",
                "stop_reason",
                "generations.0.0.generation_info.finish_reason",
            ),
            Repr(_RAW, "finish_reason"),
        ),
        "input_tokens": ("llm.token_count.prompt",),
        "output_tokens": ("llm.token_count.completion",),
        "cached_input_tokens": ("llm.token_count.prompt_details.cache_read", Repr(_RAW, "cached_tokens")),
        "reasoning_tokens": ("llm.token_count.completion_details.reasoning",),
        "cache_write_input_tokens": ("llm.token_count.prompt_details.cache_write",),
        "first_token_seconds": (EventTime(("First Token Stream Event",)),),
        "cost_usd": ("llm.cost.total", *COST),
    },
    input=(OpenInferenceMessages("llm.input_messages", "user"), Messages("llm.prompts.0.prompt.text")),
    output=(
        OpenInferenceMessages("llm.output_messages", "assistant"),
        Messages("llm.choices.0.completion.text", role="assistant"),
        Messages("output.value", ("choices", 0, "message"), "assistant"),
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
        "id": ("tool.id", "tool_call.id", *within("output.value", "data.tool_call_id")),
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
    step_input=("input.value",),
    step_output=("output.value",),
    known=(
        *("input.mime_type", "output.mime_type", "tool.description", "tool.parameters", "metadata", "tag.tags"),
        *("llm.prompt_template.template", "llm.prompt_template.variables", "embedding.embeddings.*"),
        *("embedding.invocation_parameters", "smolagents.max_steps", "smolagents.tools_names"),
        *("llm.cost.*",),
        *("llm.token_count.prompt_details.audio", "llm.token_count.completion_details.audio"),
    ),
)
