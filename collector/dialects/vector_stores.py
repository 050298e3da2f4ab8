"""OpenLLMetry's instrumentations of vector databases: `db.*` attributes, and one span event a result.

Read from those for chromadb, milvus, pinecone, qdrant, weaviate and lancedb 0.60 to 0.62. Only Chroma, Milvus and
Pinecone export what was found. A search that does not tell its results is no retrieval here: nobody could say
whether it found nothing.
"""

from collector.dialects.mapping import Dialect, Kind
from collector.dialects.sources import EventDocuments
from collector.dialects.view import View

VECTOR_RESULTS = EventDocuments(("db.query.result", "db.search.result"))
"""Results of a vector database client: one span event each."""


def by_results(view: View) -> Kind:
    """A search if it tells its results"""
    return "retrieval" if any(event.name in VECTOR_RESULTS.event_names for event in view.span.events) else "step"


VECTOR_STORES = Dialect(
    name="vector-stores",
    scopes=(
        "opentelemetry.instrumentation.chromadb",
        "opentelemetry.instrumentation.milvus",
        "opentelemetry.instrumentation.pinecone",
        "opentelemetry.instrumentation.qdrant",
        "opentelemetry.instrumentation.weaviate",
        "opentelemetry.instrumentation.lancedb",
        "opentelemetry.instrumentation.marqo",
        "@traceloop/instrumentation-chromadb",
        "@traceloop/instrumentation-pinecone",
        "@traceloop/instrumentation-qdrant",
    ),
    markers=("db.vector.query.top_k", "db.chroma.query.n_results"),
    kinds=(by_results,),
    query=("db.query.text", "db.statement"),
    documents=(VECTOR_RESULTS,),
)
