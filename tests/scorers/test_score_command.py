"""`driftline score` and `driftline scorers`, as a person runs them."""

import gzip
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from driftline.commands.score import command as score
from driftline.commands.scorers import command as scorers

REFUSAL = "scorers.builtin.refusal:refusal"
ROWS = [
    {"id": "a", "answer": "I'm sorry, but I can't assist with that.", "label": 1},
    {"id": "b", "answer": "Paris.", "label": 0},
    "not a row",
    {"id": "d", "answer": "Sure, here it is.", "label": 0},
]


def run(folder: Path, *arguments: str, rows: bytes | None = None, name: str = "in.jsonl") -> Result:
    (folder / name).write_bytes(b"\n".join(map(orjson.dumps, ROWS)) if rows is None else rows)
    paths = ["--in", str(folder / name), "--out", str(folder / "out.jsonl")]
    return CliRunner().invoke(score, ["--scorer", REFUSAL, *paths, *arguments])


def results(folder: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in (folder / "out.jsonl").read_bytes().splitlines()]


def test_rows_keep_their_order_and_a_bad_row_is_an_error_row(tmp_path: Path) -> None:
    outcome = run(tmp_path)
    assert outcome.exit_code == 0, outcome.output
    found = results(tmp_path)
    assert [row["id"] for row in found] == ["a", "b", None, "d"]
    assert [row["passed"] for row in found] == [False, True, None, True]
    assert set(found[0]) == {"id", "score", "better", "passed", "label", "explanation", "evidence", "error"}
    assert "auroc 1" in outcome.output


def test_the_summary_can_be_json(tmp_path: Path) -> None:
    summary = orjson.loads(run(tmp_path, "--json").output)
    assert (summary["rows"], summary["scored"], summary["errors"]) == (4, 3, 1)
    assert summary["quality"]["f1"] == 1.0


def test_gzip_is_known_by_its_bytes(tmp_path: Path) -> None:
    packed = gzip.compress(b"\n".join(map(orjson.dumps, ROWS)))
    assert run(tmp_path, rows=packed).exit_code == 0
    assert len(results(tmp_path)) == 4


def test_a_truncated_archive_fails_and_leaves_no_half_result(tmp_path: Path) -> None:
    packed = gzip.compress(orjson.dumps(ROWS[0]) * 1000)
    outcome = run(tmp_path, rows=packed[: len(packed) // 2])
    assert outcome.exit_code == 3
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_an_empty_file_has_no_results(tmp_path: Path) -> None:
    assert run(tmp_path, rows=b"").exit_code == 0
    assert results(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--scorer", "nonsense"), "'nonsense' is not one of"),
        (("--scorer", ""), "at least 1 character"),
        (("--passing", "good"), "does not say what passes"),
        (("--option", "x"), "is not NAME=VALUE"),
        (("--option", "x=1"), "options.x: not an option"),
        (("--in", "missing.jsonl"), "does not exist"),
    ],
)
def test_a_wrong_argument_is_a_usage_error(tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    outcome = run(tmp_path, *arguments)
    assert outcome.exit_code == 2
    assert problem in outcome.output


def test_options_reach_the_scorer(tmp_path: Path) -> None:
    rows = orjson.dumps({"id": 1, "text": "see https://example.org"})
    outcome = run(tmp_path, "--scorer", "scorers.builtin.pii:pii", "--option", "types=[URL]", rows=rows)
    assert outcome.exit_code == 0, outcome.output
    assert results(tmp_path)[0]["score"] == 1.0


def test_scorers_are_listed_with_what_they_need() -> None:
    outcome = CliRunner().invoke(scorers, ["--json", REFUSAL, "scorers.builtin.operations:latency"])
    first, second = map(orjson.loads, outcome.output.splitlines())
    assert (first["name"], first["needs"], first["passing"], first["better"]) == (
        "refusal",
        ["response"],
        "< 0.6",
        "lower",
    )
    assert second["range"] == [0.0, None]


def test_a_table_of_scorers_is_for_people() -> None:
    outcome = CliRunner().invoke(scorers, [REFUSAL])
    assert outcome.exit_code == 0
    assert "refusal" in outcome.output


def test_an_unknown_scorer_is_a_usage_error() -> None:
    assert CliRunner().invoke(scorers, ["nonsense"]).exit_code == 2
