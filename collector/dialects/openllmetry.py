"""OpenLLMetry (Traceloop): `traceloop.*` for structure, `gen_ai.*` for model calls.

Read from recordings of versions 0.62 (OTel-like message JSON) and 0.40 (flat `gen_ai.prompt.N.*`), and from
opentelemetry-semantic-conventions-ai 0.5.1.
"""

from collector.dialects.conversations import FlatMessages, Messages
from collector.dialects.documents import holds_documents
from collector.dialects.mapping import Dialect, Kind, KindBy
from collector.dialects.messages import read_turns
from collector.dialects.otel import KNOWN, LLM, OPERATIONS, OTEL, TOOL, by_shape
from collector.dialects.sources import Documents, IndexedRecords, SpanName, within
from collector.dialects.turns import Turn
from collector.dialects.values import parsed
from collector.dialects.vector_stores import VECTOR_RESULTS
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


_ITEM = frozenset({"role", "type"})


def conversation(view: View) -> list[Turn]:
    """`gen_ai.input.messages`, also where a conversation stands as JSON in the text of one message.

    So does the JavaScript instrumentation for the Responses API.
    """
    turns = Messages("gen_ai.input.messages")(view)
    if len(turns) == 1 and (turns[0].text or "").startswith("[{"):
        inner = parsed(turns[0].text)
        if isinstance(inner, list) and all(isinstance(item, dict) and not _ITEM.isdisjoint(item) for item in inner):
            return read_turns(inner) or turns
    return turns


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
    input=(conversation, *OTEL.input[1:], FlatMessages("llm.prompts", "user")),
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
    documents=(
        Documents(_ENTITY_OUTPUT),
        Documents("gen_ai.task.output"),
        VECTOR_RESULTS,
    ),
    embedding={**OTEL.embedding},
    agent_name=("gen_ai.agent.name", "traceloop.entity.name"),
    step_input=("traceloop.entity.input",),
    step_output=(_ENTITY_OUTPUT,),
    known=(
        *KNOWN,
        *("traceloop.workflow.name", "traceloop.entity.path", "traceloop.entity.version", "llm.usage.total_tokens"),
        *("gen_ai.task.*", "gen_ai.workflow.*", "llm.is_streaming", "llm.headers", "gen_ai.is_streaming"),
        *("traceloop.association.properties.ls_*", "traceloop.association.properties.lc_*"),
        *("traceloop.association.properties.langgraph_*", "traceloop.association.properties.checkpoint_ns"),
    ),
    certain=True,
)
