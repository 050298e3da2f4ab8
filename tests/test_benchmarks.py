"""What the benchmark of drift writes has its place in the documentation."""

import pytest

from benchmarks.drift import DOCS, tables
from benchmarks.tables import replaced

DOCUMENT = "# A\n\n## B\n\n| old |\n\n### C\n\ntext\n"


def test_every_table_of_the_drift_benchmark_is_in_the_documentation_once() -> None:
    document = DOCS.read_text()
    headings = [next(table) for table in tables(quick=False)]
    assert len(headings) == 12
    for heading in headings:
        assert document.count(f"\n{heading}") == 1


def test_lines_take_the_place_of_what_is_under_their_heading() -> None:
    assert replaced(DOCUMENT, ["## B\n", "| new |"]) == "# A\n\n## B\n\n| new |\n\n### C\n\ntext\n"
    assert replaced(DOCUMENT, ["### C\n", "| new |\n"]) == "# A\n\n## B\n\n| old |\n\n### C\n\n| new |\n"


def test_a_heading_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="'## D' is there 0 times"):
        replaced(DOCUMENT, ["## D", "text"])
