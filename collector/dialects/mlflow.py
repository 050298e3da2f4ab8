"""MLflow 3 tracing: every attribute is a JSON document in a text; request and response are the provider's own.

Read from mlflow-tracing 3.17. The provider's message formats (OpenAI, Anthropic, LangChain, ...) all pass the same
tolerant reader.
"""

from collector.dialects.conversations import Messages
from collector.dialects.mapping import Dialect, KindBy
from collector.dialects.sources import Documents, Json, SpanName, within

_IN, _OUT, _USAGE = "mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.chat.tokenUsage"

MLFLOW = Dialect(
    name="mlflow",
    scopes=("mlflow.",),
    markers=("mlflow.spanType",),
    kinds=(
        KindBy(
            "mlflow.spanType",
            {
                "CHAT_MODEL": "llm",
                "LLM": "llm",
                "RETRIEVER": "retrieval",
                "TOOL": "tool",
                "AGENT": "agent",
                "EMBEDDING": "embedding",
                "CHAIN": "step",
                "PARSER": "step",
                "RERANKER": "step",
                "MEMORY": "step",
                "UNKNOWN": "step",
                "WORKFLOW": "step",
                "TASK": "step",
                "GUARDRAIL": "step",
                "EVALUATOR": "step",
            },
        ),
    ),
    llm={
        "provider": ("mlflow.llm.provider",),
        "request_model": (*within(_IN, "model"), "model", "mlflow.llm.model"),
        "response_model": (*within(_OUT, "model"), "mlflow.llm.model"),
        "response_id": within(_OUT, "id"),
        "finish_reason": within(_OUT, "choices.0.finish_reason", "stop_reason", "status"),
        "input_tokens": within(_USAGE, "input_tokens"),
        "output_tokens": within(_USAGE, "output_tokens"),
        "cached_input_tokens": (
            *within(_USAGE, "cache_read_input_tokens"),
            *within(_OUT, "usage.prompt_tokens_details.cached_tokens", "usage.input_tokens_details.cached_tokens"),
        ),
        "cache_write_input_tokens": within(_USAGE, "cache_creation_input_tokens"),
        "cost_usd": within("mlflow.llm.cost", "total_cost"),
        "reasoning_tokens": within(
            _OUT, "usage.completion_tokens_details.reasoning_tokens", "usage.output_tokens_details.reasoning_tokens"
        ),
    },
    input=(Messages(_IN, ("messages",)), Messages(_IN, ("input",)), Messages(_IN)),
    system=(Messages(_IN, ("system",), "system"), Messages(_IN, ("instructions",), "system")),
    output=(
        Messages(_OUT, ("choices", 0, "message"), "assistant"),
        Messages(_OUT, ("output",), "assistant"),
        Messages(_OUT, role="assistant"),
    ),
    tool_definitions=("mlflow.chat.tools", *within(_IN, "tools")),
    output_schema=within(_IN, "response_format", "text.format"),
    tool={
        "name": (*within(_OUT, "name"), SpanName()),
        "id": within(_OUT, "tool_call_id"),
        "arguments": (_IN,),
        "result": (_OUT,),
    },
    query=(Json(_IN),),
    documents=(Documents(_OUT),),
    embedding={"model": (*within(_IN, "model"), "mlflow.llm.model"), "input_tokens": within(_USAGE, "input_tokens")},
    agent_name=(SpanName(),),
    step_input=(_IN,),
    step_output=(_OUT,),
    known=(
        *("mlflow.spanLogLevel", "mlflow.traceRequestId", "mlflow.message.format", "mlflow.spanFunctionName"),
        *("temperature", "top_p", "max_tokens", "stream"),
    ),
    certain=True,
)
