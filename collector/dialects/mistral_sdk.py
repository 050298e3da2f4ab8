"""The Mistral Python SDK's own spans: no content, but the provider's usage.

Read from mistralai 1.x (`extra/observability`). They come beside those of any instrumentation.
"""

from dataclasses import replace

from collector.dialects.mapping import Dialect, Kind
from collector.dialects.otel import KNOWN, OTEL
from collector.dialects.view import View


def by_operation_id(view: View) -> Kind | None:
    """The part of the API, as `mistral_ai.operation.id` names it"""
    named = view.attributes.get("mistral_ai.operation.id")
    return "embedding" if isinstance(named, str) and named.startswith("embeddings") else None


MISTRAL_SDK: Dialect = replace(
    OTEL,
    name="mistral-sdk",
    scopes=("mistralai_sdk_tracer",),
    markers=(),
    kinds=(by_operation_id, *OTEL.kinds),
    known=(*KNOWN, "agent.trace.public", "mistral_ai.request.total_tokens"),
    certain=False,
)
