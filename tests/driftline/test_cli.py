"""The command line: what each command prints, and its exit code: 0 fine, 1 the answer is no, 2 usage, 3 failed."""

import gzip
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import SPANS, TICK_KIND, TRACES_KIND, Record
from collector.core.errors import UserError
from collector.redaction.keys import read_or_make_key
from collector.redaction.redactor import Redactor
from collector.sample import SampleConfig, Sampler
from collector.wire.read import read_bodies
from driftline import cli
from driftline.build import build, open_redactor
from driftline.commands.replay import offline
from driftline.config import Config, load_config
from driftline.demo.recordings import shipped_sample
from driftline.demo.traffic import Traffic
from driftline.stages.score_worker import END_OF_INPUT
from tests.driftline.conftest import Run

DATA = Path(__file__).parents[1] / "data"
OTLP = sorted((DATA / "otlp").iterdir())
END_NS = 1_790_000_000_000_000_000
TRACE_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Store:
    config: Path
    trace_ids: list[str]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store in which the recorded requests were evaluated, at a rate that leaves some traces out."""
    folder = tmp_path_factory.mktemp("store")
    config = folder / "driftline.yaml"
    config.write_text(
        f"listen: {{otlp_http: null, otlp_grpc: null, web: null}}\nstore: {{path: {folder}/a.db}}\n"
        "alerts: {log: false}\nscorers: [refusal, latency, tokens, {use: groundedness, rate: 0}]\n"
    )
    service = build(load_config(config, {}))
    records = [Record(body, kind=kind) for path in OTLP for kind, body in read_bodies(path.read_bytes(), path.name)]
    service.engine.append(SPANS, [*records, Record(END_OF_INPUT, kind=TICK_KIND)]).result()
    service.drain()
    trace_ids = [sheet["trace_id"] for sheet in service.view.recent(1000)]
    service.stop()
    return Store(config, trace_ids)


# --- help and usage ---


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    shown = run(command, "--help")
    assert shown.code == 0
    assert shown.out.startswith(f"Usage: driftline {command} ")
    assert shown.err == ""


def test_the_help_lists_every_command_in_a_line_each(run: Run) -> None:
    shown = run("-h")
    assert shown.code == 0
    assert [line.split()[0] for line in shown.out.partition("Commands:\n")[2].splitlines()] == list(cli.COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["serve", "--no-such-option"],
        ["check", "-c"],
        ["inspect"],
        ["replay"],
        ["replay", "no-such-file"],
        ["score", "--scorer", "refusal"],
        ["why"],
        ["why", "--summary", "0" * 32],
        ["scorers", "no_such_scorer"],
        ["check", "-c", "no-such-file.yaml"],
        ["serve", "-c", "no-such-file.yaml"],
        ["export"],
        ["export", "cases"],
        ["export", "evidence", "out.zip"],
        ["export", "verify", "no-such-file.zip"],
        ["export", "schema", "trace"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(
    run: Run, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run(*arguments)
    assert ended.code == 2
    assert ended.err
    assert "Traceback" not in ended.err
    assert list(tmp_path.iterdir()) == []


def test_the_program_runs_as_a_module_and_knows_its_version() -> None:
    shown = subprocess.run([sys.executable, "-m", "driftline", "--version"], capture_output=True, text=True, timeout=60)
    assert re.fullmatch(r"driftline, version \d+\.\d+\.\d+\n", shown.stdout)
    assert (shown.returncode, shown.stderr) == (0, "")


def test_an_unforeseen_fault_ends_with_3_and_shows_where_it_is(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from scorers.base import scorer\n"
        "@scorer(name='broken', data=lambda options: 1 / 0)\n"
        "def broken(trace):\n"
        "    return 1.0\n"
    )
    (tmp_path / "driftline.yaml").write_text("scorers: [{use: ./broken.py:broken}]")
    ended = run("check", "-c", tmp_path / "driftline.yaml")
    assert ended.code == 3
    assert "broken.py" in ended.err
    assert "ZeroDivisionError" in ended.err


def test_a_file_of_the_users_that_fails_is_told_by_key_and_place(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there\n")
    (tmp_path / "driftline.yaml").write_text("scorers: [{use: ./broken.py:scorer}]")
    ended = run("check", "-c", tmp_path / "driftline.yaml")
    assert ended.code == 2
    assert ended.err == (
        "driftline: scorers[0]: './broken.py:scorer' fails as it is read: "
        "ModuleNotFoundError: No module named 'a_module_that_is_not_there' (broken.py, line 1)\n"
    )


def test_a_package_of_ours_that_was_loaded_from_elsewhere_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run
) -> None:
    stranger = type(sys)("scorers")
    stranger.__file__ = str(tmp_path / "scorers" / "__init__.py")
    monkeypatch.setitem(sys.modules, "scorers", stranger)
    with pytest.raises(UserError, match=f"'scorers' was loaded from {tmp_path}, but Driftline's is in "):
        cli.refuse_strangers()
    assert run("--help").code == 2


# --- check ---


def test_check_says_what_would_be_done(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_TEST_SECRET", "hunter2")
    path = tmp_path / "driftline.yaml"
    path.write_text(
        """
        listen: {web: null, tokens: [{name: app, role: ingest, env: DRIFTLINE_TEST_SECRET}]}
        store: {path: x.db, retention: 12h, max_size: 5GB}
        kafka: {brokers: [a:1], options: {sasl_plain_password: {env: DRIFTLINE_TEST_SECRET}}}
        sample: {rate: 0.25, keep: [{when: error}, {when: service == shop, rate: 0.1}]}
        scorers: [refusal, {use: latency, passing: "<= 3", rate: 0.5}]
        monitors: [{watch: refusal, by: [service, version]}, {watch: latency, name: slow, min_effect: 0.1}]
        false_pages: 2 per day
        alerts: {webhook: {url: "https://ops.example", secret: {env: DRIFTLINE_TEST_SECRET}}}
        export: {kafka: {brokers: [a:1], changes: null}, parquet: {path: lake, every: 1h}}
        redact:
          {at: receive, actions: {phone: keep}, deny: [body], rules: [{name: employee, pattern: 'EMP', action: drop}]}
        """
    )
    shown = run("check", "-c", path)
    assert (shown.code, shown.err) == (0, "")
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    for line in (
        "web off",
        "token app: ingest",
        "kafka otlp_spans, otlp_logs as otlp_proto",
        "x.db for 12h, up to 5GB",
        "0.25 of all traces",
        "1 where error",
        "0.1 where service == shop, which is no more than of all: the rule keeps nothing",
        "latency passes <= 3 rate 0.5, needs nothing",
        "mean of refusal by service and version, rising by 0.03 of its range or more (detector mean)",
        "slow: pass rate of latency by everything together, falling by 0.1 of its range or more (detector mean)",
        "webhook",
        "to the topics driftline-scores",
        "to Parquet files in lake, every 1h",
        "redacts spans before they are kept, and what leaves scorers",
        "hash email, credit_card, iban, national_id, ip_address, mac_address, birth_date, secret, denied",
        "keep phone",
        "drop employee",
        "allow *.version, prompt_version",
        "deny body",
        "key x.redact.key",
    ):
        assert line in lines
    assert "at most 14 false pages a week over everything watched" in shown.out
    assert "hunter2" not in shown.out
    assert list(tmp_path.iterdir()) == [path]


def test_check_says_what_combinations_take_of_the_budget(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "driftline.yaml"
    rule = "{watch: groundedness, by: [service, version, model, prompt], combinations: 3, max_combinations: 50}"
    path.write_text(f"monitors: [{rule}]\n")
    shown = run("check", "-c", path).out
    assert "by service and combinations of version, model, prompt" in shown
    assert "within each service: each of version, model, prompt, and combinations of 2 to 3 of them" in shown
    assert "50 with most traffic; a score is in 4," in shown
    assert "(1/4 each)" in shown
    assert "here 250 at most" in shown


def test_check_says_what_of_the_budget_each_partition_has(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "driftline.yaml"
    path.write_text("cluster: {brokers: ['kafka:9092'], partitions: 12}\nfalse_pages: 3 per week\n")
    assert "shared     by 12 partitions, 0.25 a week each, " in run("check", "-c", path).out


def test_check_lists_all_that_is_wrong_and_ends_with_2(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "driftline.yaml"
    path.write_text("sample: {rate: 2}\nlisten: {token: hunter2}")
    ended = run("check", "-c", path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        f"driftline: {path}: listen.token: there is no such key; did you mean tokens?",
        f"driftline: {path}: sample.rate: 2: must be at most 1",
    ]


def test_check_prints_a_schema(run: Run) -> None:
    assert set(run("check", "--schema").json["properties"]) >= {"listen", "scorers", "monitors", "false_pages"}


# --- why ---


def test_why_tells_of_every_scorer_what_became_of_the_trace(run: Run, store: Store) -> None:
    for trace_id in store.trace_ids:
        shown = run("why", trace_id.upper(), "-c", store.config)
        assert shown.code == 0
        assert shown.out.startswith(f"trace {trace_id} (service ")
        assert [line.split()[0] for line in shown.out.splitlines() if re.match(r"  \w+ {2,}", line)] == [
            *("refusal", "latency", "tokens", "groundedness")
        ]
        assert re.search(r"groundedness +not sampled: its id's place 0\.\d{9} is not below the rate of ", shown.out)


def test_why_in_json_has_one_decision_for_each_scorer(run: Run, store: Store) -> None:
    found = run("why", store.trace_ids[0], "--json", "-c", store.config).json
    assert found["trace_id"] == store.trace_ids[0]
    assert [decision["scorer"] for decision in found["decisions"]] == ["refusal", "latency", "tokens", "groundedness"]
    assert found["decisions"][3]["decision"] == "not_sampled"


def test_why_of_one_scorer_leaves_the_others_out(run: Run, store: Store) -> None:
    found = run("why", store.trace_ids[0], "--scorer", "latency", "--json", "-c", store.config).json
    assert [decision["scorer"] for decision in found["decisions"]] == ["latency"]


def test_why_of_everything_counts_each_trace_once_for_each_scorer(run: Run, store: Store) -> None:
    rows = run("why", "--summary", "--json", "-c", store.config).json
    for scorer in ("refusal", "latency", "tokens", "groundedness"):
        assert sum(row["count"] for row in rows if row["scorer"] == scorer) >= len(store.trace_ids)
    assert {row["decision"] for row in rows if row["scorer"] == "groundedness"} == {"not_sampled"}
    words = run("why", "--summary", "-c", store.config).out
    assert f"groundedness: {len(store.trace_ids)} candidates\n" in words
    assert "100.0%  not sampled: " in words


def test_why_of_an_unknown_trace_is_no_and_says_what_may_be(run: Run, store: Store) -> None:
    shown = run("why", "ab" * 16, "-c", store.config)
    assert shown.code == 1
    assert shown.out.startswith(f"nothing is known of trace {'ab' * 16}: it was never received, or is older than")
    assert run("why", "ab" * 16, "--json", "-c", store.config).json["not_sampled"] is False


def test_why_of_a_trace_that_waits_says_for_what_and_counts_it_as_pending(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "driftline.yaml"
    config.write_text(
        f"listen: {{otlp_http: null, otlp_grpc: null, web: null}}\nstore: {{path: {tmp_path}/a.db}}\n"
        "alerts: {log: false}\nscorers: [refusal, {use: latency, name: seconds}, session_turns]\n"
    )
    service = build(load_config(config, {}))
    done, open_one, rootless = (bytes([number] * 16) for number in (1, 2, 3))
    service.engine.append(SPANS, [spans(done, b"", 1), Record(END_OF_INPUT, kind=TICK_KIND)]).result()
    service.drain()
    service.engine.append(SPANS, [spans(open_one, b"", 5), spans(open_one, b"\1" * 8, 4)]).result()
    service.drain()
    service.engine.append(SPANS, [spans(rootless, b"\1" * 8, 6), Record(b"\xff", kind=TRACES_KIND)]).result()
    service.stop()

    shown = run("why", open_one.hex(), "-c", config)
    assert shown.code == 0
    first, second, *others = shown.out.splitlines()
    assert first == (
        f"trace {open_one.hex()} waits for its end: 2 spans came, the last ended 1970-01-01T00:00:05.000+00:00; "
        "its root has ended"
    )
    assert "nothing more came for 5 s (assemble.quiet), at the latest 600 s after" in second
    assert others == [
        "  refusal              pending: open",
        "  seconds              pending: open",
        "  session_turns        looks at sessions: if the trace has one, it is a turn of it once it was evaluated",
    ]
    found = run("why", rootless.hex(), "--scorer", "seconds", "--json", "-c", config).json
    assert found["pending"] == {"spans": 1, "ended_ns": 6 * 10**9, "root_ended": False}
    assert found["decisions"] == [{"scorer": "seconds", "decision": "pending", "reason": "open"}]
    rows = run("why", "--summary", "--json", "-c", config).json
    pending = {(row["scorer"], row["count"]) for row in rows if row["decision"] == "pending"}
    assert pending == {("refusal", 2), ("seconds", 2)}
    for scorer in ("refusal", "seconds"):
        assert sum(row["count"] for row in rows if row["scorer"] == scorer) == 3, "candidates are the sum of decisions"


def spans(trace_id: bytes, parent_id: bytes, ended_seconds: int) -> Record:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=trace_id, parent_span_id=parent_id)
    span.span_id, span.end_time_unix_nano = bytes([len(parent_id) + 1] * 8), ended_seconds * 10**9
    return Record(request.SerializeToString(), kind=TRACES_KIND)


def test_why_explains_a_trace_whose_id_alone_leaves_it_out(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_SAMPLE__RATE", "0.000000001")
    trace_id = "ab" * 16
    unit = Sampler(SampleConfig()).unit(bytes.fromhex(trace_id))
    shown = run("why", trace_id, "-c", store.config)
    assert shown.code == 0
    assert f"is not sampled, whatever it holds: its id's place {unit:.9f} is not below sample.rate (1e-09)" in shown.out
    found = run("why", trace_id, "--json", "-c", store.config).json
    assert found.pop("kept_since_ns") > 0
    assert found == {"trace_id": trace_id, "unit": unit, "not_sampled": True, "rule": "sample.rate"}
    summary = run("why", "--summary", "-c", store.config).out.splitlines()[-1]
    assert summary.startswith("not counted here: traces that their id alone leaves out, by sample; 1e-09 of all")


def test_why_of_a_scorer_that_was_not_configured_says_so(run: Run, store: Store) -> None:
    shown = run("why", store.trace_ids[0], "--scorer", "nonsense", "-c", store.config)
    assert "nothing was decided on this scorer; what was decided on: " in shown.out


@pytest.mark.parametrize("trace_id", ["x", "ab" * 15, "ab" * 17, "zz" * 16, "٠" * 32])
def test_why_refuses_what_is_no_trace_id(run: Run, store: Store, trace_id: str) -> None:
    ended = run("why", trace_id, "-c", store.config)
    assert ended.code == 2
    assert re.fullmatch(r"driftline: TRACE_ID: '.*' is not 32 hexadecimal digits\n", ended.err)


def test_why_without_a_store_fails_with_a_hint(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_STORE__PATH", str(tmp_path / "none.db"))
    ended = run("why", "ab" * 16)
    assert (ended.code, ended.out) == (3, "")
    assert (
        ended.err
        == f"driftline: there is no view {tmp_path}/none.view.db; has `driftline serve` run with this store?\n"
    )
    assert list(tmp_path.iterdir()) == []


# --- replay ---


def test_a_replay_gives_the_same_each_time(run: Run) -> None:
    first, second = run("replay", "--json", *OTLP), run("replay", "--json", *OTLP)
    assert first.code == 0
    assert first.json["counts"]["traces_scored"] > 0
    assert first.json["unreadable"] == []
    assert first.out == second.out


def test_a_replay_finds_the_regression_in_recorded_traffic_and_the_same_each_time(run: Run, tmp_path: Path) -> None:
    traffic = Traffic(shipped_sample(), end_ns=END_NS, traces=500, seed=2)
    for number, request in enumerate(traffic.requests()):
        (tmp_path / f"{number:05}.pb.gz").write_bytes(gzip.compress(request.body, 1, mtime=0))
    config = tmp_path.parent / "driftline.yaml"
    config.write_text(
        "scorers: [groundedness]\nfalse_pages: 1 per hour\n"
        "monitors: [{watch: groundedness, by: [service], warmup: 40}]\n"
    )
    first, second = (run("replay", "--json", tmp_path, "-c", config) for _ in range(2))
    assert first.out == second.out
    found = first.json
    assert [change["slice"] for change in found["changes"] if change["paged"]] == [{"service": traffic.truth.service}]
    assert found["counts"]["traces_scored"] == 500
    words = run("replay", tmp_path, "-c", config).out
    assert words.startswith("500 traces, ")
    assert "\npage: Mean of groundedness fell from " in words
    for told in ("The mean of ", "The evidence is ", "Traces to open: ", "Typical of what "):
        assert f"\n      {told}" in words, told


def test_a_replay_of_old_traffic_keeps_what_it_found_however_long_it_takes(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftline.flow._TIDY_SECONDS", 0)
    traffic = Traffic(shipped_sample(), end_ns=END_NS - 3 * 365 * 86_400 * 10**9, traces=500, seed=2)
    folder = tmp_path / "traffic"
    folder.mkdir()
    for number, request in enumerate(traffic.requests()):
        (folder / f"{number:05}.pb.gz").write_bytes(gzip.compress(request.body, 1, mtime=0))
    config = tmp_path / "driftline.yaml"
    config.write_text(
        "scorers: [groundedness]\nfalse_pages: 1 per hour\n"
        "monitors: [{watch: groundedness, by: [service], warmup: 40}]\n"
    )
    assert [change["paged"] for change in run("replay", "--json", folder, "-c", config).json["changes"]] == [True]
    versions = ("--a", traffic.truth.version_before, "--b", traffic.truth.version_after)
    assert run("gate", *versions, "-c", config, folder).code == 1


def test_a_replay_is_held_against_what_is_known_and_against_another_configuration(run: Run, tmp_path: Path) -> None:
    traffic = Traffic(shipped_sample(), end_ns=END_NS, traces=500, seed=2)
    folder = tmp_path / "traffic"
    folder.mkdir()
    for number, request in enumerate(traffic.requests()):
        (folder / f"{number:05}.pb.gz").write_bytes(gzip.compress(request.body, 1, mtime=0))
    strict, lax = tmp_path / "strict.yaml", tmp_path / "lax.yaml"
    rule = (
        "scorers: [groundedness]\nfalse_pages: 1 per day\n"
        "monitors: [{{watch: groundedness, by: [service], warmup: 40{}}}]\n"
    )
    strict.write_text(rule.format(""))
    lax.write_text(rule.format(", min_effect: 0.9"))
    begun = datetime.fromtimestamp(traffic.truth.onset_ns / 1e9, UTC).isoformat()
    options = ("-c", strict, "--against", lax, "--incident", begun, "--quiet", f"2020-01-01..{begun}")

    told = run("replay", "--json", folder, *options).json
    (incident,) = told["backtest"]["incidents"]
    assert incident["page"] == told["changes"][0]["id"]
    assert 0 < incident["delay_seconds"] < 3600
    assert incident["onset_held"]
    assert told["backtest"]["quiet"][0]["pages"] == 0
    assert told["against"]["backtest"]["incidents"][0]["page"] is None
    assert told["against"]["counts"]["traces_scored"] == told["counts"]["traces_scored"]

    words = run("replay", folder, *options).out
    assert f"{strict}:\n500 traces" in words
    assert f"{lax}:\n500 traces" in words
    assert re.search(r"incident .* UTC: paged .* later; its onset interval holds it", words)
    assert re.search(r"incident .* UTC: not paged", words)
    table = words.splitlines()[-8:]
    assert table[0].split() == [str(strict), str(lax)]
    assert [row.split("  ")[0] for row in table[1:4]] == ["scores", "changes", "pages"]
    assert table[3].split() == ["pages", "1", "0"]
    assert re.fullmatch(r"incident .* UTC +\d.* later +not paged", table[4])
    assert re.fullmatch(r"quiet from .* UTC( +0 false pages, 0 a week \(95% interval .*\)){2}", table[5])
    options = ("-c", strict, "--incident", "2020-01-01", "--quiet", "2020-01-01..2020-02-01")
    outside = run("replay", folder, *options).out
    assert "\nincident 2020-01-01 00:00 UTC: no traffic then\n" in outside
    assert "\nquiet 2020-01-01 00:00 UTC to 2020-02-01 00:00 UTC: no traffic then\n" in outside
    assert re.search(r"\n      It began at about .* UTC.* and was found at .* UTC", outside)
    assert re.search(r"quiet .*: 0 false pages, 0 a week \(95% interval 0 to ", words)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--incident", "yesterday"], "--incident: 'yesterday' is not a day such as 2026-03-01"),
        (["--quiet", "2026-03-01"], "--quiet: '2026-03-01' is not FROM..TO, such as"),
        (["--quiet", "2026-03-02..2026-03-01"], "--quiet: '2026-03-02..2026-03-01' ends before it begins"),
        (["--within", "soon"], "--within: "),
        (["--price", "refusal"], "--price: 'refusal' is not SCORER=AMOUNT, such as my_judge=0.002"),
        (["--price", "refusal=-1"], "--price: 'refusal=-1' is not SCORER=AMOUNT"),
        (["--price", "refusal=1", "--price", "refusal=2"], "--price: 'refusal' is given twice"),
        (["--price", "judge=1"], "--price: 'judge' is not one of the scorers (groundedness, refusal, "),
    ],
)
def test_what_is_known_of_a_replay_is_checked(run: Run, options: list[str], complaint: str) -> None:
    ended = run("replay", OTLP[0], *options)
    assert ended.code == 2
    assert ended.err.startswith(f"driftline: {complaint}")


def test_a_replay_says_what_scorers_would_cost(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from scorers.base import scorer\n\n\n@scorer(name='judge')\ndef judge(trace):\n    return 1.0\n"
    )
    config = tmp_path / "driftline.yaml"
    config.write_text("scorers: [latency, ./mine.py:judge]\nmonitors: []\n")
    asked = ("replay", *OTLP, "-c", config)
    traces = run(*asked, "--json").json["counts"]["traces_scored"]
    told = f"cost not known of judge ({traces} runs): if a run costs money, say --price judge=AMOUNT"
    assert run(*asked).out.splitlines()[-1] == told
    priced = run(*asked, "--price", "judge=0.25").out.splitlines()[-1]
    assert priced == f"cost {0.25 * traces:g}, 250 for 1,000 traces: judge {0.25 * traces:g} in {traces} runs"
    assert run(*asked, "--price", "judge=0.25", "--json").json["cost"] == {
        "total": 0.25 * traces,
        "per_1000_traces": 250.0,
        "by_scorer": {"judge": 0.25 * traces},
        "unpriced": [],
    }
    config.write_text("scorers: [latency]\nmonitors: []\n")
    assert run(*asked).out.splitlines()[-1] == "cost nothing but processor time: no scorer that ran spends money"


def test_a_replay_leaves_nothing_behind_and_touches_no_store(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("replay", OTLP[0]).code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("at", ["output", "receive"])
def test_a_replay_has_the_tokens_of_the_service(tmp_path: Path, at: str) -> None:
    live = Config.model_validate({"store": {"path": tmp_path / "store.db"}, "redact": {"at": at}})
    key = read_or_make_key(live.store.path)
    folder = tmp_path / "replay"
    folder.mkdir()
    told = open_redactor(offline(live, folder)).text("jo@example.org")
    assert told == Redactor(key).text("jo@example.org") == open_redactor(live).text("jo@example.org")
    assert list(folder.iterdir()) == []


def test_a_replay_goes_on_past_a_file_that_cannot_be_read_and_ends_with_3(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.pb").write_bytes(b"\xff" * 40)
    ended = run("replay", "--json", tmp_path / "bad.pb", OTLP[-1])
    assert ended.code == 3
    assert ended.json["counts"]["traces_scored"] == 1
    assert len(ended.json["unreadable"]) == 1
    assert ended.json["unreadable"][0].startswith(f"{tmp_path}/bad.pb: ")
    assert ended.err == "driftline: 1 of 2 files could not be read\n"


# --- inspect, score, scorers ---


def test_inspect_shows_traces_as_people_and_as_programs_read_them(run: Run) -> None:
    lines = [json.loads(line) for line in run("inspect", "--json", *OTLP).out.splitlines()]
    assert all(TRACE_ID.fullmatch(line["trace_id"]) for line in lines)
    shown = run("inspect", *OTLP)
    assert shown.code == 0
    assert all(line["trace_id"] in shown.out for line in lines)


def test_inspect_tells_of_a_bad_file_in_one_line_shows_the_others_and_ends_with_3(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    ended = run("inspect", "--json", tmp_path / "bad.json", OTLP[-1])
    assert ended.code == 3
    assert len(ended.out.splitlines()) == 1
    assert re.fullmatch(rf"driftline inspect: {tmp_path}/bad\.json: malformed: .*\n", ended.err)


def test_score_writes_a_result_for_each_row_in_order(run: Run, tmp_path: Path) -> None:
    rows, results = tmp_path / "rows.jsonl", tmp_path / "results.jsonl"
    rows.write_text('{"id": 1, "answer": "I cannot help with that."}\nnot json\n{"id": 3, "answer": "Sure: 42."}\n')
    ended = run("score", "--scorer", "refusal", "--in", rows, "--out", results, "--json")
    assert (ended.code, ended.json["rows"], ended.json["errors"]) == (0, 3, 1)
    found = [json.loads(line) for line in results.read_text().splitlines()]
    assert [row["id"] for row in found] == [1, None, 3]
    assert found[0]["passed"] is False
    assert found[1]["error"]
    assert found[2]["passed"] is True


def test_scorers_lists_what_is_installed(run: Run) -> None:
    listed = [json.loads(line) for line in run("scorers", "--json").out.splitlines()]
    assert {"groundedness", "refusal", "error"} <= {one["name"] for one in listed}
    assert all(one["doc"] for one in listed)
