"""`driftline export` as a person uses it: what it writes, what it says, and how it ends."""

import gzip
import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema_rs
import pyarrow.parquet
import pytest

from drift.base import Metric
from drift.plan import MonitorConfig, plans
from drift.reference import BaselineConfig
from driftline import cli
from driftline.commands.export import command
from driftline.export import parquet
from tests.driftline.export.store import Store, tree

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """`run("cases", file)` gives exit code, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["driftline", "export", *map(str, arguments)])
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfdbinary.readouterr()
        return ended.value.code if isinstance(ended.value.code, int) else 0, out.decode(), err.decode()

    return call


@pytest.fixture
def expired(store: Store, tmp_path: Path) -> Path:
    """The configuration of a store whose inbox is empty."""
    folder = tmp_path / "expired"
    shutil.copytree(store.config_path.parent, folder)
    config = folder / "driftline.yaml"
    config.write_text(config.read_text().replace(str(store.config_path.parent), str(folder)))
    connection = sqlite3.connect(folder / "store.db")
    connection.execute("DELETE FROM log_spans")
    connection.commit()
    connection.close()
    return config


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_the_view_does_not_know_yet_is_said(run: Run, expired: Path, tmp_path: Path) -> None:
    connection = sqlite3.connect(expired.parent / "store.view.db")
    connection.execute("UPDATE progress SET next_offset = next_offset - 5 WHERE log = 'decisions'")
    connection.commit()
    connection.close()
    code, _, err = run("evidence", "-c", expired, "--from", "9000d", tmp_path / "pack.zip")
    assert code == 0
    assert "the view has yet to take in 5 records of the store, which are left out\n" in err


# --- scores ---


def test_scores_of_a_period_are_a_reference_for_a_monitor(run: Run, store: Store, tmp_path: Path) -> None:
    good = tmp_path / "good.jsonl"
    scorer = store.config.monitors[0].watch
    code, out, err = run("scores", "-c", store.config_path, "--scorer", scorer, good)
    assert (code, err) == (0, "")
    rows = lines(good)
    assert out == f"{len(rows)} scores of the beginning to now: {good}\n"
    assert {row["scorer"] for row in rows} == {scorer}
    rule = MonitorConfig(watch=scorer, warmup=20, baseline=BaselineConfig(file=good))
    (plan,) = plans([rule], {scorer: Metric(scorer, 0.0, 1.0, "higher")})
    assert plan.reference is not None
    assert len(plan.reference.records) == len(rows) >= 20
    code, _, err = run("scores", "-c", store.config_path, good)
    assert (code, err) == (2, f"driftline: FILE: {good} exists; --force replaces it\n")


# --- parquet ---


def test_parquet_of_a_period(run: Run, store: Store, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    code, out, err = run("parquet", "-c", store.config_path, "--json", lake)
    assert (code, err) == (0, "")
    written = json.loads(out)
    counts = {
        name: sum(pyarrow.parquet.read_metadata(path).num_rows for path in (lake / name).rglob("*.parquet"))
        for name in ("scores", "changes")
    }
    assert counts == written
    assert written["changes"] == 2
    assert {path.split("/")[1][:5] for path in tree(lake)} == {"date="}
    code, out, _ = run("parquet", "-c", store.config_path, "--unscored", "--json", tmp_path / "all")
    assert json.loads(out)["scores"] == 4 * len({entry.key for entry in store.decisions})  # of the last revisions


def test_a_folder_that_has_such_files_is_not_added_to(run: Run, store: Store, tmp_path: Path) -> None:
    assert run("parquet", "-c", store.config_path, tmp_path)[0] == 0
    before = tree(tmp_path)
    code, out, err = run("parquet", "-c", store.config_path, tmp_path)
    assert (code, out) == (2, "")
    assert err == f"driftline: DIR: {tmp_path}/scores is there already; give a new folder, or remove it\n"
    assert tree(tmp_path) == before


def test_a_period_without_anything_makes_no_files(run: Run, store: Store, tmp_path: Path) -> None:
    code, out, _ = run("parquet", "-c", store.config_path, "--to", "2001-01-01", tmp_path / "lake")
    assert code == 0
    assert out.startswith("0 scores and 0 changes of the beginning to 2001-01-01T00:00:00.000000000Z: ")
    assert tree(tmp_path / "lake") == {}


def test_without_pyarrow_it_says_what_to_install(
    run: Run, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet.importlib.util, "find_spec", lambda name: None)
    code, _, err = run("parquet", "-c", store.config_path, tmp_path / "lake")
    told = "needs pyarrow, which is not installed: pip install 'driftline[parquet]'\n"
    assert (code, err) == (2, f"driftline: driftline export parquet {told}")
    assert list(tmp_path.iterdir()) == []
    config = tmp_path / "driftline.yaml"
    config.write_text("export: {parquet: {path: lake}}")
    monkeypatch.setattr(sys, "argv", ["driftline", "check", "-c", str(config)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2


# --- cases ---


def test_cases_of_one_scorer_in_both_forms(run: Run, store: Store, tmp_path: Path) -> None:
    chosen = ("-c", store.config_path, "--scorer", "groundedness")
    code, out, err = run("cases", *chosen, "--json", tmp_path / "cases.jsonl")
    outcome = json.loads(out)
    assert (code, err, outcome["missing"]) == (0, "", {})
    cases = lines(tmp_path / "cases.jsonl")
    assert len(cases) == outcome["written"] == outcome["chosen"] > 10
    assert run("cases", *chosen, "--format", "openai-evals", tmp_path / "evals.jsonl")[0] == 0
    samples = lines(tmp_path / "evals.jsonl")
    assert [sample["metadata"]["trace_id"] for sample in samples] == [case["id"] for case in cases]  # type: ignore[index]
    assert run("cases", *chosen, tmp_path / "cases.jsonl.gz")[0] == 0
    assert gzip.decompress((tmp_path / "cases.jsonl.gz").read_bytes()) == (tmp_path / "cases.jsonl").read_bytes()
    _, out, err = run("cases", *chosen, "-")
    assert out.encode() == (tmp_path / "cases.jsonl").read_bytes()
    assert err.startswith(f"{len(cases)} cases of {len(cases)} traces, ")


def test_cases_are_chosen_by_slice_and_the_newest_first(run: Run, store: Store, tmp_path: Path) -> None:
    target = tmp_path / "cases.jsonl"
    assert run("cases", "-c", store.config_path, "--all", "--slice", "service=clinic-assistant", target)[0] == 0
    every = lines(target)
    assert {case["provenance"]["slices"]["service"] for case in every} == {"clinic-assistant"}  # type: ignore[index]
    arguments = ("-c", store.config_path, "--all", "--slice", "service=clinic-assistant", "--limit", "3")
    assert run("cases", *arguments, target) == (2, "", f"driftline: FILE: {target} exists; --force replaces it\n")
    code, out, _ = run("cases", *arguments, "--force", target)
    assert code == 0
    assert lines(target) == every[-3:]
    assert target.stat().st_mode & 0o077 == 0, "cases hold prompts"
    assert out.endswith("(only the newest 3 were looked for; see --limit)\n")


def test_cases_whose_content_has_gone_are_counted_and_come_from_recordings(
    run: Run, store: Store, expired: Path, tmp_path: Path
) -> None:
    target = tmp_path / "cases.jsonl"
    code, out, _ = run("cases", "-c", expired, target)
    assert code == 0
    assert out.startswith("0 cases of ")
    assert " left out: its content is no longer kept\n" in out
    assert target.read_bytes() == b""
    connection = sqlite3.connect(store.config_path.parent / "store.db")
    (tmp_path / "recordings").mkdir()
    for number, (value,) in enumerate(connection.execute("SELECT value FROM log_spans WHERE kind <> 'tick'")):
        (tmp_path / "recordings" / f"{number:06}.pb").write_bytes(value)
    connection.close()
    assert run("cases", "-c", store.config_path, tmp_path / "kept.jsonl")[0] == 0
    assert run("cases", "-c", expired, "--force", "--traces", tmp_path / "recordings", target)[0] == 0
    assert target.read_bytes() == (tmp_path / "kept.jsonl").read_bytes() != b""


def test_a_recording_that_cannot_be_read_is_told(run: Run, store: Store, tmp_path: Path) -> None:
    (tmp_path / "bad.pb").write_bytes(b"\xff" * 40)
    code, _, err = run("cases", "-c", store.config_path, "--traces", tmp_path / "bad.pb", tmp_path / "cases.jsonl")
    assert code == 2
    assert err.startswith(f"driftline: --traces: {tmp_path}/bad.pb: malformed: ")
    assert not (tmp_path / "cases.jsonl").exists()


def test_a_slice_without_a_value_is_told(run: Run, store: Store, tmp_path: Path) -> None:
    code, _, err = run("cases", "-c", store.config_path, "--slice", "shop", tmp_path / "cases.jsonl")
    assert (code, err) == (2, "driftline: --slice: 'shop' is not NAME=VALUE, such as service=shop\n")


def test_a_file_that_cannot_be_written_is_told_in_one_line(run: Run, store: Store, tmp_path: Path) -> None:
    target = tmp_path / "none" / "cases.jsonl"
    code, _, err = run("cases", "-c", store.config_path, target)
    assert (code, err) == (3, f"driftline: {target} cannot be written: No such file or directory\n")


# --- evidence ---


def test_evidence_is_written_and_verified(run: Run, store: Store, tmp_path: Path) -> None:
    pack = tmp_path / "e.zip"
    code, out, err = run("evidence", "-c", store.config_path, "--from", "2026-01-01", pack)
    assert code == 0
    assert "traces are kept from 2026-" in err
    sha256 = out.split()[-1]
    assert run("verify", pack, "--sha256", sha256)[0] == 0
    code, out, _ = run("verify", pack, "--sha256", "ab" * 32)
    assert (code, out) == (1, f"{pack}: it is another pack: sha256 is {sha256}\n")
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(content)
    code, out, _ = run("verify", pack, "--json")
    assert code == 1
    assert json.loads(out)["sound"] is False


def test_a_pack_that_is_not_there_is_told(run: Run, tmp_path: Path) -> None:
    code, _, err = run("verify", tmp_path / "e.zip")
    assert (code, err) == (2, f"driftline: FILE.zip: {tmp_path}/e.zip: No such file or directory\n")


# --- all of them ---


@pytest.mark.parametrize("form", ["score", "change", "case"])
def test_schemas_are_printed(run: Run, form: str) -> None:
    code, out, _ = run("schema", form)
    assert code == 0
    assert json.loads(out)["title"] == f"driftline.{form}/1"
    jsonschema_rs.meta.validate(json.loads(out))


@pytest.mark.parametrize("name", ["parquet", "cases", "evidence"])
def test_without_a_store_each_fails_with_a_hint(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("DRIFTLINE_STORE__PATH", str(tmp_path / "none.db"))
    code, _, err = run(name, "--from", "24h", tmp_path / "out")
    assert code == 3
    assert "has `driftline serve` run with this store?" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(command.commands))
def test_each_explains_itself(run: Run, name: str) -> None:
    code, out, err = run(name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: driftline export {name} ")
    documented = (Path(__file__).parents[3] / "docs" / "exports.md").read_text()
    assert f"driftline export {name}" in documented
