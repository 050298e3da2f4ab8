"""Which dialect a span speaks: by its instrumentation scope, else by an attribute that gives it away."""

from functools import lru_cache

from collector.core.model import Span
from collector.dialects.anthropic_sdk import ANTHROPIC_SDK
from collector.dialects.bedrock import OPENINFERENCE_BEDROCK, OPENLLMETRY_BEDROCK, OTEL_BOTOCORE
from collector.dialects.genkit import GENKIT
from collector.dialects.google_adk import GOOGLE_ADK
from collector.dialects.google_genai import OPENLLMETRY_GOOGLE
from collector.dialects.haystack import HAYSTACK
from collector.dialects.langfuse import LANGFUSE
from collector.dialects.langsmith import LANGSMITH
from collector.dialects.litellm import LITELLM
from collector.dialects.livekit import LIVEKIT
from collector.dialects.logfire import LOGFIRE
from collector.dialects.logfire_agents import LOGFIRE_AGENTS
from collector.dialects.mapping import Dialect
from collector.dialects.mastra import MASTRA
from collector.dialects.mcp import OPENLLMETRY_MCP
from collector.dialects.mistral_sdk import MISTRAL_SDK
from collector.dialects.mlflow import MLFLOW
from collector.dialects.openinference import OPENINFERENCE
from collector.dialects.openlit import OPENLIT
from collector.dialects.openllmetry import OPENLLMETRY
from collector.dialects.otel import OTEL
from collector.dialects.pydantic_ai import PYDANTIC_AI
from collector.dialects.strands import STRANDS
from collector.dialects.vector_stores import VECTOR_STORES
from collector.dialects.vercel_ai import VERCEL_AI, VERCEL_AI_7

DIALECTS: tuple[Dialect, ...] = (
    OPENINFERENCE_BEDROCK,
    OPENINFERENCE,
    VERCEL_AI,
    LANGFUSE,
    MLFLOW,
    HAYSTACK,
    GOOGLE_ADK,
    PYDANTIC_AI,
    LANGSMITH,
    LOGFIRE,
    LOGFIRE_AGENTS,
    STRANDS,
    LITELLM,
    LIVEKIT,
    MASTRA,
    GENKIT,
    VECTOR_STORES,
    OPENLLMETRY_BEDROCK,
    OPENLLMETRY_GOOGLE,
    OPENLLMETRY_MCP,
    OPENLLMETRY,
    OPENLIT,
    VERCEL_AI_7,
    ANTHROPIC_SDK,
    MISTRAL_SDK,
    OTEL_BOTOCORE,
    OTEL,
)
"""All dialects; where a span has markers of several, the first counts, so the most general comes last."""

_BY_MARKER = tuple((marker, dialect) for dialect in DIALECTS for marker in dialect.markers)


def dialect_of(span: Span) -> Dialect | None:
    """The dialect of one span; None where it says nothing about AI."""
    by_scope = _dialect_of_scope(span.scope_name)
    if by_scope is not None:
        return by_scope
    attributes = span.attributes
    for marker, dialect in _BY_MARKER:
        if marker in attributes:
            return dialect
    return None


@lru_cache(maxsize=4096)
def _dialect_of_scope(scope_name: str) -> Dialect | None:
    fitting = [
        (len(scope), dialect) for dialect in DIALECTS for scope in dialect.scopes if scope_name.startswith(scope)
    ]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None
