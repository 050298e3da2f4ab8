"""Who sends the demo's traffic: four invented services, what each runs, and how its exporter is set up."""

from collections.abc import Mapping
from dataclasses import dataclass

_HEALTH_RAG = {
    "openinference-llama-index/rag_health": 30.0,
    "openinference-langchain/rag_health": 22.0,
    "openllmetry-langchain/rag_health": 16.0,
    "openllmetry-v0.40-langchain/rag_health": 12.0,
    "otel-genai-langchain/rag_health": 4.0,
    "otel-genai-openai/rag_manual_health": 4.0,
    "otel-openai-v2-latest/rag_manual_health": 2.0,
}

_ERRORS = {
    "openinference-langchain/error_429": 3.0,
    "openllmetry-langchain/error_429": 1.0,
    "otel-genai-openai/error_429": 2.0,
    "otel-genai-openai/error_500": 2.0,
    "otel-openai-v2-legacy/error_429": 2.0,
    "openinference-openai-agents/agents_error_500": 2.0,
}


@dataclass(frozen=True, slots=True)
class Exporter:
    """How a service sends: OTLP over HTTP or gRPC, protobuf or JSON, compressed or not."""

    transport: str = "http"  # "http", or "grpc" where the receiver has it
    encoding: str = "protobuf"  # "protobuf" or "json"
    gzip: bool = False


@dataclass(frozen=True, slots=True)
class DemoService:
    """One service.

    `share` is its part of all traces; `mix` and `errors` weigh the recordings it plays when all is well and when the
    model provider fails.
    """

    name: str
    version: str
    share: float
    exporter: Exporter
    mix: Mapping[str, float]
    errors: Mapping[str, float]


CLINIC = DemoService(
    "clinic-assistant",
    "2.3.1",
    0.62,
    Exporter(gzip=True),
    {
        **_HEALTH_RAG,
        "openinference-openai-agents/agents_lab_stream": 4.0,
        "openinference-smolagents/agent_lab_loop_maxsteps": 0.5,
        "otel-openai-v2-latest/structured_class": 3.0,
        "openllmetry-openai/embeddings": 2.5,
    },
    _ERRORS,
)
SHOP = DemoService(
    "shop-support",
    "5.12.0",
    0.18,
    Exporter(encoding="json", gzip=True),
    {
        "openinference-anthropic/anthropic_chat": 4.0,
        "openinference-openai/chat_support": 6.0,
        "openllmetry-openai/anthropic_chat": 3.0,
        "openllmetry-openai/chat_support": 6.0,
        "openllmetry-v0.40-openai/chat_support": 3.0,
        "otel-genai-openai/chat_support": 8.0,
        "otel-openai-v2-eventonly/chat_support": 5.0,
        "otel-openai-v2-legacy/chat_support": 8.0,
        "openinference-langchain/agent_support_split": 3.0,
        "openinference-llama-index/agent_support": 2.0,
        "openinference-openai-agents/agents_support": 2.0,
        "openllmetry-openai/tools_support": 4.0,
        "otel-genai-langchain/agent_support": 6.0,
        "otel-openai-v2-legacy/tools_support": 6.0,
        "openinference-openai/multiturn_de": 2.0,
        "openllmetry-v0.40-openai/multiturn_de": 2.0,
        "otel-genai-langchain/multiturn_es": 3.0,
        "otel-genai-openai/image_meter": 2.0,
        "otel-genai-openai/responses_stream": 2.0,
        "otel-openai-v2-latest/finish_length": 1.0,
        "otel-genai-openai/refusal": 0.5,
        "openllmetry-openai/refusal": 0.5,
    },
    _ERRORS,
)
TRAVEL = DemoService(
    "travel-desk",
    "1.8.4",
    0.12,
    Exporter(transport="grpc"),
    {
        "openinference-langchain/rag_travel_stream": 6.0,
        "openinference-llama-index/rag_travel_stream": 8.0,
        "openllmetry-langchain/rag_travel_stream": 4.0,
        "otel-genai-openai/tools_travel": 8.0,
        "otel-genai-openai/tools_stream": 4.0,
        "otel-openai-v2-eventonly/tools_travel": 5.0,
        "openinference-openai/responses_tools": 3.0,
        "otel-openai-v2-latest/multiturn_ja": 4.0,
        "openinference-langchain/refusal": 0.5,
    },
    _ERRORS,
)
BANK = DemoService(
    "bank-desk",
    "3.0.7",
    0.08,
    Exporter(),
    {
        "openinference-langchain/rag_vectorstore_erc": 5.0,
        "openllmetry-openai/rag_decorated_erc": 7.0,
        "openllmetry-v0.40-openai/rag_decorated_erc": 6.0,
        "otel-genai-langchain/rag_vectorstore_erc": 3.0,
        "openinference-llama-index/rag_legal_de": 3.0,
        "openinference-langchain/chat_finance": 4.0,
        "openllmetry-v0.40-langchain/chat_finance": 3.0,
        "openllmetry-v0.40-openai/stream_finance": 3.0,
        "otel-openai-v2-legacy/stream_finance": 3.0,
        "openinference-openai/responses_reasoning": 3.0,
        "openinference-anthropic/anthropic_long_cached": 1.0,
        "openllmetry-openai/chat_long": 1.0,
        "openinference-langchain/structured_invoice": 2.0,
        "openllmetry-langchain/structured_invoice": 2.0,
        "openllmetry-openai/structured_invoice": 2.0,
        "otel-genai-langchain/structured_invoice": 2.0,
        "otel-genai-openai/structured_invoice": 3.0,
        "openinference-openai/refusal_field": 0.5,
        "otel-openai-v2-legacy/refusal_field": 0.5,
    },
    _ERRORS,
)
SERVICES = (CLINIC, SHOP, TRAVEL, BANK)
