"""Every dialect, found by itself: it is recognised, documented, and declared over fields that exist."""

from dataclasses import fields
from pathlib import Path

import pytest

from collector.core.model import Embedding, LLMCall, Span, ToolCall
from collector.dialects.mapping import Dialect
from collector.dialects.registry import DIALECTS, dialect_of
from collector.dialects.table import markdown
from collector.dialects.view import View

EACH = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


def span(scope: str = "", **attributes: object) -> Span:
    return Span("t", "s", None, "name", 0, 0, 1, dict(attributes), [], [], 0, "", scope, "", {})


def test_names_are_unique() -> None:
    names = [dialect.name for dialect in DIALECTS]
    assert len(names) == len(set(names))


@EACH
def test_each_scope_and_marker_leads_to_its_dialect(dialect: Dialect) -> None:
    assert dialect.scopes or dialect.markers
    for scope in dialect.scopes:
        assert dialect_of(span(scope)) is dialect
    for marker in dialect.markers:
        assert dialect_of(span(**{marker: "x"})) is dialect


def test_the_scope_counts_before_any_marker() -> None:
    said = span("openinference.instrumentation.openai", **{"traceloop.span.kind": "task", "gen_ai.system": "openai"})
    found = dialect_of(said)
    assert found is not None
    assert found.name == "openinference"


def test_a_span_of_no_dialect_has_none() -> None:
    assert dialect_of(span("opentelemetry.instrumentation.httpx", **{"http.method": "GET"})) is None


@EACH
def test_tables_name_fields_that_exist(dialect: Dialect) -> None:
    for table, kind in ((dialect.llm, LLMCall), (dialect.tool, ToolCall), (dialect.embedding, Embedding)):
        assert set(table) <= {field.name for field in fields(kind)}


@EACH
@pytest.mark.parametrize("kind", ["llm", "tool", "retrieval", "embedding", "agent", "step"])
def test_a_span_that_says_nothing_reads_as_an_empty_operation(dialect: Dialect, kind: str) -> None:
    operation = dialect.read(View(span()), kind)  # type: ignore[arg-type]
    assert (operation is None) == (kind == "step")


def test_the_page_about_dialects_is_what_the_tables_say() -> None:
    page = Path(__file__).parents[3] / "docs" / "dialects.md"
    assert page.read_text() == markdown(), "run: python -m collector.dialects.table > docs/dialects.md"
