"""OpenLLMetry (Traceloop): `traceloop.*` for structure, `gen_ai.*` for model calls.

Read from recordings of versions 0.62 (OTel-like message JSON) and 0.40 (flat `gen_ai.prompt.N.*`), and from
opentelemetry-semantic-conventions-ai 0.5.1.
"""

from collector.core.model import Document
from collector.dialects.conversations import FlatMessages
from collector.dialects.documents import holds_documents, read_documents
from collector.dialects.mapping import Dialect, Kind, KindBy
from collector.dialects.otel import LLM, OPERATIONS, OTEL, TOOL, by_shape
from collector.dialects.sources import Documents, IndexedRecords, SpanName, within
from collector.dialects.view import View

_ENTITY_OUTPUT = "traceloop.entity.output"


def decorated_retrieval(view: View) -> Kind | None:
    """A function that the application decorated as a task, and that returned a list of documents."""
    if view.attributes.get("traceloop.span.kind") != "task":
        return None
    value = view.attributes.get(_ENTITY_OUTPUT)
    if not isinstance(value, str) or not value.startswith("["):
        return None
    return "retrieval" if holds_documents(view.json(_ENTITY_OUTPUT)) else None


def vector_results(view: View) -> list[Document] | None:
    """Results of a vector database client: one span event each."""
    found = []
    for event in view.span.events:
        if event.name in ("db.query.result", "db.search.result"):
            prefix = event.name + "."
            found.append({key.removeprefix(prefix): value for key, value in event.attributes.items()})
    return read_documents(found) if found else None


OPENLLMETRY = Dialect(
    name="openllmetry",
    scopes=(
        "traceloop.tracer",
        "@traceloop/",
        "opentelemetry.instrumentation.openai.v",
        "opentelemetry.instrumentation.anthropic",
        "opentelemetry.instrumentation.langchain",
        "opentelemetry.instrumentation.llamaindex",
        "opentelemetry.instrumentation.cohere",
        "opentelemetry.instrumentation.groq",
        "opentelemetry.instrumentation.mistralai",
        "opentelemetry.instrumentation.ollama",
        "opentelemetry.instrumentation.haystack",
        "opentelemetry.instrumentation.crewai",
        "opentelemetry.instrumentation.openai_agents",
        "opentelemetry.instrumentation.together",
        "opentelemetry.instrumentation.replicate",
        "opentelemetry.instrumentation.watsonx",
    ),
    markers=("traceloop.span.kind", "llm.request.type", "gen_ai.is_streaming"),
    kinds=(
        decorated_retrieval,
        KindBy("gen_ai.operation.name", {**OPERATIONS, "vector_db_retrieve": "retrieval", "execute_task": "step"}),
        KindBy("llm.request.type", {"chat": "llm", "completion": "llm", "embedding": "embedding", "rerank": "step"}),
        KindBy("traceloop.span.kind", {"tool": "tool", "agent": "agent", "workflow": "step", "task": "step"}),
        by_shape,
    ),
    llm={
        **LLM,
        "finish_reason": (*LLM["finish_reason"], "gen_ai.completion.0.finish_reason", "llm.response.finish_reason"),
    },
    input=(*OTEL.input, FlatMessages("llm.prompts", "user")),
    system=OTEL.system,
    output=(*OTEL.output, FlatMessages("llm.completions", "assistant")),
    tool_definitions=("gen_ai.tool.definitions", IndexedRecords("llm.request.functions")),
    output_schema=("gen_ai.request.structured_output_schema", "gen_ai.output.type"),
    tool={
        "name": ("gen_ai.tool.name", "traceloop.entity.name", SpanName(".tool")),
        "id": TOOL["id"],
        "arguments": (
            "gen_ai.tool.call.arguments",
            *within("traceloop.entity.input", "inputs"),
            "traceloop.entity.input",
        ),
        "result": ("gen_ai.tool.call.result", _ENTITY_OUTPUT),
    },
    query=("gen_ai.retrieval.query.text", *within("traceloop.entity.input", "query"), "traceloop.entity.input"),
    documents=(Documents(_ENTITY_OUTPUT), Documents("gen_ai.task.output"), vector_results),
    embedding={**OTEL.embedding},
    agent_name=("gen_ai.agent.name", "traceloop.entity.name"),
    step_input=("traceloop.entity.input",),
    step_output=(_ENTITY_OUTPUT,),
    certain=True,
)
