"""`driftline score` and `driftline scorers`, as a person runs them."""

import gzip
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from collector.core.errors import UserError
from collector.core.model import Trace
from driftline.commands.score import command as score
from driftline.commands.scorers import command as scorers
from scorers.loading import ScorerConfig, load_scorer
from scorers.outcome import scores_of

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


@pytest.mark.parametrize("rows", [b"question,answer\na,b\nc,d\n", b'[{"answer": "a"}, {"answer": "b"}]', b"\xff\xfe\n"])
def test_a_file_of_another_form_fails_and_its_error_rows_are_kept(tmp_path: Path, rows: bytes) -> None:
    outcome = run(tmp_path, rows=rows)
    assert outcome.exit_code == 3
    assert "is a row, a JSON object on a line of its own" in outcome.output
    assert all(row["error"] for row in results(tmp_path))


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
        (("--scorer", "groundedness_nli"), "--option model=VALUE: 'groundedness_nli' needs it"),
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
        "< 0.5",
        "lower",
    )
    assert second["range"] == [0.0, None]


def test_the_list_of_scorers_is_for_people_with_nothing_cut() -> None:
    outcome = CliRunner().invoke(scorers, [REFUSAL, "scorers.builtin.operations:tokens"])
    assert outcome.exit_code == 0
    lines = outcome.output.splitlines()
    assert lines[0] == "refusal"
    assert lines[2] == (
        "  of each trace; needs response; 0 to 1 ratio, lower is better, passes at < 0.5; takes microseconds"
    )
    assert "0 to inf tokens, lower is better, gives no verdict" in outcome.output
    assert "…" not in outcome.output


def test_an_unknown_scorer_is_a_usage_error() -> None:
    assert CliRunner().invoke(scorers, ["nonsense"]).exit_code == 2


@pytest.mark.parametrize("flag", ["--out", "--calibrate"])
def test_what_is_read_is_never_written_over(tmp_path: Path, flag: str) -> None:
    outcome = run(tmp_path, flag, str(tmp_path / "in.jsonl"))
    assert (outcome.exit_code, f"{flag}: " in outcome.output) == (2, True), outcome.output
    assert (tmp_path / "in.jsonl").read_bytes() == b"\n".join(map(orjson.dumps, ROWS))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    outcome = run(tmp_path, "--out", str(tmp_path / "nowhere" / "out.jsonl"))
    assert (outcome.exit_code, f"--out: there is no folder {tmp_path / 'nowhere'}" in outcome.output) == (2, True)


def test_labels_that_are_neither_0_nor_1_are_told_and_left_out(tmp_path: Path) -> None:
    labels = [1, 0, 1.0, False, 2, "1", None]
    rows = b"\n".join(orjson.dumps({"answer": "Paris.", "label": label}) for label in labels)
    outcome = run(tmp_path, rows=rows)
    assert "2 labels are neither 0 nor 1: left out" in outcome.output
    found = orjson.loads(run(tmp_path, "--json", rows=rows).output)
    assert (found["labels_left_out"], found["quality"]["labelled"]) == (2, 4)


def test_verdicts_on_scores_without_a_value_are_held_against_labels_too(tmp_path: Path) -> None:
    (tmp_path / "mood.py").write_text(
        "from scorers.base import scorer\n"
        "@scorer(name='mood', needs=('answer',), passing='in calm')\n"
        "def mood(trace):\n"
        "    return 'angry' if '!' in trace.answer else 'calm'\n"
    )
    rows = b"\n".join(orjson.dumps({"answer": answer, "label": n}) for answer, n in [("A!", 1), ("b", 0), ("c", 1)])
    use = ("--scorer", f"{tmp_path / 'mood.py'}:mood")
    outcome = run(tmp_path, *use, rows=rows)
    assert re.search(r"flagged +1 +0\n +passed +1 +1\n", outcome.output), outcome.output
    assert orjson.loads(run(tmp_path, *use, "--json", rows=rows).output)["quality"]["recall"] == 0.5


def labelled(rows: int) -> bytes:
    """Refusals that are labelled rightly but for one in ten."""
    texts = ("I'm sorry, but I can't assist with that.", "Paris is the capital of France.")
    made = [{"id": n, "answer": texts[n % 2], "label": int(n % 2 == 0) ^ int(n % 10 == 0)} for n in range(rows)]
    return b"\n".join(map(orjson.dumps, made))


def test_labels_give_a_confusion_table_and_the_worth_of_the_score_as_a_probability(tmp_path: Path) -> None:
    outcome = run(tmp_path, rows=labelled(100))
    assert re.search(r"label 1 +label 0\n +flagged +40 +10\n +passed +0 +50\n", outcome.output), outcome.output
    quality = orjson.loads(run(tmp_path, "--json", rows=labelled(100)).output)["quality"]
    assert quality["confusion"]["flagged_of_label_0"] == 10
    assert sum(one["rows"] for one in quality["reliability"]) == 100
    assert 0 <= quality["brier"] <= 1


def test_a_calibration_is_written_and_can_be_used(tmp_path: Path) -> None:
    written = tmp_path / "refusal.json"
    outcome = run(tmp_path, "--calibrate", str(written), "--false-positives", "0.2", rows=labelled(100))
    assert outcome.exit_code == 0, outcome.output
    assert "on rows left out of the fit: recall 1.000, false positives 0.1" in outcome.output
    one = load_scorer(ScorerConfig(use=REFUSAL, calibration=written))
    (found,) = scores_of(one, one.function(Trace("t", answer="I'm sorry, but I can't assist with that.")))
    assert found.value == pytest.approx(0.8, abs=0.05)
    assert found.passed is False


def test_too_few_labels_are_no_calibration(tmp_path: Path) -> None:
    outcome = run(tmp_path, "--calibrate", str(tmp_path / "c.json"))
    assert isinstance(outcome.exception, UserError)
    assert not (tmp_path / "c.json").exists()


def test_a_new_scorer_works_as_it_is_written(tmp_path: Path) -> None:
    made = CliRunner().invoke(scorers, ["new", "brevity", "--folder", str(tmp_path / "mine")])
    assert made.exit_code == 0, made.output
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_brevity.py"],
        cwd=tmp_path / "mine",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout + done.stderr
    reference = f"{tmp_path}/mine/brevity.py:brevity"
    shown = CliRunner().invoke(scorers, [reference, "--json"])
    assert orjson.loads(shown.output)["doc"] == "Is the answer no longer than it should be?"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("new", "no-name"), "cannot be a function's name"),
        (("new", "class"), "cannot be"),
        (("new", "taken"), "already"),
    ],
)
def test_a_new_scorer_needs_a_free_name(tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    (tmp_path / "test_taken.py").write_text("mine")
    outcome = CliRunner().invoke(scorers, [*arguments, "--folder", str(tmp_path)])
    assert outcome.exit_code == 2
    assert problem in outcome.output
    assert [path.name for path in tmp_path.iterdir()] == ["test_taken.py"]
    assert (tmp_path / "test_taken.py").read_text() == "mine"
