"""What the benchmark of drift writes has its place in the documentation; names are labelled and counted, and standard
errors are right."""

import importlib
import math
import random
from pathlib import Path

import orjson
import pytest

from benchmarks.bootstrap import Row, standard_errors
from benchmarks.drift import DOCS, tables
from benchmarks.names_rates import Judged, rates
from benchmarks.names_silver import silver
from benchmarks.scorers import quality
from benchmarks.tables import replaced
from collector.redaction.names import NameModel, Reading

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = "# A\n\n## B\n\n| old |\n\n### C\n\ntext\n"


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py")))
def test_a_benchmark_finds_what_it_takes_from_the_code(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")


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


def test_the_standard_error_of_a_rate_is_that_of_a_binomial() -> None:
    rng = random.Random(5)
    rows = [Row(at, rng.random(), rng.random() < 0.3, at % 2) for at in range(400)]
    found = standard_errors(rows)
    binomial = math.sqrt(0.3 * 0.7 / 200)
    assert found.recall == pytest.approx(binomial, rel=0.2)
    assert found.false_positive_rate == pytest.approx(binomial, rel=0.2)
    assert found.auroc == pytest.approx(math.sqrt(401 / (12 * 200 * 200)), rel=0.2)  # of risks that say nothing
    assert standard_errors(rows) == found


def test_rows_that_belong_together_tell_less_than_as_many_others() -> None:
    rows = [Row(at, float(at % 7), at % 3 == 0, at % 2) for at in range(60)]
    alone = standard_errors([row._replace(group=(row.group, copy)) for row in rows for copy in range(4)])
    together = standard_errors([row for row in rows for _ in range(4)])
    assert together.recall == pytest.approx(2 * alone.recall, rel=0.3)


def test_without_both_labels_there_is_no_error_to_tell() -> None:
    found = standard_errors([Row(at, 0.5, True, 1) for at in range(9)])
    assert math.isnan(found.auroc)
    assert found.recall == 0.0
    assert math.isnan(found.false_positive_rate)


def test_the_table_of_quality_gives_each_set_that_is_there_with_its_errors(tmp_path: Path) -> None:
    rows = [
        {
            "id": str(at),
            "contexts": ["The bridge opened in 1931."],
            "answer": "Zebras grin." if at % 3 == 0 else "It opened in 1931.",
            "label": at % 2,
            "meta": {"doc": at // 2},
        }
        for at in range(24)
    ]
    (tmp_path / "groundedness").mkdir()
    (tmp_path / "groundedness" / "summedits.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    heading, _, line = quality(tmp_path)
    assert heading == "| scorer | set | rows | AUROC | AP | F1 | recall | FPR |"
    cells = line.strip("| ").split(" | ")
    assert cells[:3] == ["groundedness", "summedits", "24"]
    assert [("±" in cell) for cell in cells[3:]] == [True, False, False, True, True]
    assert cells[3].startswith(".500 ±.")
