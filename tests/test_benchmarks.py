"""What the benchmark of drift writes has its place in the documentation; how names are labelled and counted."""

import pytest

from benchmarks.drift import DOCS, tables
from benchmarks.names_rates import Judged, rates
from benchmarks.names_silver import silver
from benchmarks.tables import replaced
from collector.redaction.names import NameModel, Reading

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


def test_words_are_of_a_name_or_of_none_only_where_that_is_rather_sure() -> None:
    kinds = {"anna": "F", "cole": "L", "novak": "L", "leeds": "LP", "the": "c", "may": "FLoc", "street": "o"}
    text = "The shop of Anna Cole in Leeds shut. Cole left; Mr. Zoltan and Novak stayed in Novak Street. IBM too."
    seen = Reading(text, NameModel(kinds, 0.0, {}).kind)
    labels = {seen.words[at] + f" {at}": label for at, (label, _) in silver(seen).items()}
    assert labels == {
        **{"Anna 3": 1, "Cole 4": 1, "Cole 9": 1, "Zoltan 14": 1},
        **{"The 0": 0, "Leeds 6": 0, "Mr 12": 0, "IBM 22": 0},
    }


def test_spans_that_overlap_are_told_from_those_that_are_the_same() -> None:
    judged = [Judged(1, [(0, 4), (6, 9)], [(0, 4), (7, 9), (20, 22)], [True, True]), Judged(2, [], [], [])]
    assert rates(judged) == pytest.approx([1 / 3, 1 / 2, 0.4, 2 / 3, 1.0, 0.8])
