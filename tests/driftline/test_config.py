"""The configuration: what is refused and in which words, the environment, secrets, defaults, the schema.

Each file of tests/data/config has one fault, which is its name; its last line is what an operator must read.
"""

import hashlib
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from alerts.http import reveal
from collector.core.errors import UserError
from driftline.commands.check import load_all
from driftline.config import DEFAULT_SCORERS, DEFAULT_WATCHED, Config, load_config, split_address, store_path
from driftline.reference import all_keys

ROOT = Path(__file__).parents[2]
WRONG = ROOT / "tests" / "data" / "config"
EXAMPLE = ROOT / "examples" / "driftline.yaml"
PASSWORD = "hunter2"  # what the files of tests/data/config have where a secret is in plain text


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_TEST_SECRET", PASSWORD)


def written(folder: Path, text: str) -> Path:
    path = folder / "driftline.yaml"
    path.write_text(text)
    return path


def loaded(folder: Path, text: str, **environ: str) -> Config:
    return load_config(written(folder, text), environ)


def problems(path: Path | None, **environ: str) -> list[str]:
    """What is wrong, each without the name of the file before it."""
    with pytest.raises(UserError) as refused:
        load_all(load_config(path, environ))
    return [problem.removeprefix(f"{path}: ") for problem in refused.value.problems]


# --- what is wrong ---


@pytest.mark.parametrize("path", sorted(WRONG.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_fault_is_told_in_one_line_with_path_value_and_what_is_allowed(path: Path) -> None:
    expected = path.read_text().rstrip().rpartition("\n# error: ")[2]

    assert problems(path) == [expected.replace("FOLDER", str(WRONG.resolve()))]
    assert PASSWORD not in expected


def test_the_line_begins_with_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "sample: {rate: 2}")
    with pytest.raises(UserError) as refused:
        load_config(path, {})
    assert str(refused.value) == f"{path}: sample.rate: 2: must be at most 1"


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        listen: {otlp_http: nowhere, tokens: hunter2}
        sampel: {}
        store: {retention: 30, max_size: big}
        scorers: [{use: refusal, rate: 7}, {rate: 1}]
        false_pages: never
        """,
    )
    found = problems(path)
    assert {problem.partition(": ")[0] for problem in found} == {
        *("listen.otlp_http", "listen.tokens", "sampel", "store.retention", "store.max_size"),
        *("scorers[0].rate", "scorers[1].use", "false_pages"),
    }
    assert all("\n" not in problem for problem in found)


def test_all_faults_of_the_parts_are_told_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, "scorers: [nope, refusal, refusal]\nalerts: {plugins: [{use: nope}]}")
    assert [problem.partition(": ")[0] for problem in problems(path)] == [
        *("scorers[0]", "scorers[2]", "alerts.plugins[0].use")
    ]


def test_every_listener_that_is_open_to_others_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, 'listen: {otlp_http: "0.0.0.0:1", otlp_grpc: "[::]:2", web: "example.com:3"}')
    assert [problem.partition(": ")[0] for problem in problems(path)] == [
        *("listen.otlp_http", "listen.otlp_grpc", "listen.web")
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"store: {path: \xff\xfe.db}", "is not UTF-8 text"),
        (b"store: &a [*a]", "store: a list: must be a mapping of keys to values, such as {key: value}"),
        (b"store: 2026-13-01", "has a value that is not what it looks like: month must be in 1..12"),
        (b"[" * 5000, "is nested too deeply"),
        (b"? [a, b]\n: c", "is not YAML, line 1, column 3: found unhashable key"),
        (b"!!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
    ids=["missing", "not_utf_8", "holds_itself", "no_date", "deep", "odd_key", "runs_code"],
)
def test_a_file_that_is_no_configuration_is_refused_in_one_line(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    path = tmp_path / "odd.yaml"
    if content is not None:
        path.write_bytes(content)
    (problem,) = problems(path)
    assert told in problem
    assert "\n" not in problem


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert problems(tmp_path) == ["cannot be read: Is a directory"]


# --- what is right ---


def test_without_a_file_everything_has_a_default_that_holds_together() -> None:
    config = load_config(None, {})
    scorers, monitors = load_all(config)
    assert [scorer.name for scorer in scorers] == list(DEFAULT_SCORERS)
    assert [monitor.name for monitor in monitors] == list(DEFAULT_WATCHED)
    assert split_address(config.listen.web or "") == ("127.0.0.1", 8321)


@pytest.mark.parametrize("text", ["", "# nothing but a comment", "---\n", "{}"])
def test_an_empty_file_is_as_none(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text).model_dump() == load_config(None, {}).model_dump()


def test_the_example_is_valid_and_every_part_of_it_can_be_had() -> None:
    scorers, monitors = load_all(load_config(EXAMPLE, {}))
    assert "politeness" in {scorer.name for scorer in scorers}
    assert {monitor.metric for monitor in monitors} <= {scorer.name for scorer in scorers}


def test_a_scorer_file_is_found_beside_the_configuration_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_scorers.py").write_text((ROOT / "examples" / "my_scorers.py").read_text())
    path = written(tmp_path, 'scorers: [{use: ./my_scorers.py:politeness, name: manners, passing: ">= 0.9"}]')
    monkeypatch.chdir("/")
    ((scorer,), _) = load_all(load_config(path, {}))
    assert (scorer.name, scorer.passing.text if scorer.passing else None) == ("manners", ">= 0.9")


@pytest.mark.parametrize(
    ("text", "watched"),
    [
        ("scorers: [refusal, latency, {use: error, rate: 0.5}]", ["refusal", "error"]),
        ("scorers: [latency]", []),
        ("scorers: []", []),
        ("monitors: []", []),
        ("scorers: [refusal, error]\nmonitors: [{watch: error}]", ["error"]),
    ],
)
def test_without_monitors_those_of_the_usual_ones_that_are_scored_are_watched(
    tmp_path: Path, text: str, watched: list[str]
) -> None:
    assert [monitor.watch for monitor in loaded(tmp_path, text).monitors] == watched


@pytest.mark.parametrize(
    "listen",
    [
        '{otlp_http: "0.0.0.0:4318", tokens: [{name: app, role: ingest, env: DRIFTLINE_TEST_SECRET}]}',
        '{web: "0.0.0.0:8321", tokens: [{name: ana, role: read, env: DRIFTLINE_TEST_SECRET}]}',
        '{otlp_grpc: "[::]:1", web: "0.0.0.0:1", tokens: [{name: ana, role: admin, env: DRIFTLINE_TEST_SECRET}]}',
        '{web: "0.0.0.0:1", web_tls: {certificate: a, key: b, client_ca: c}}',
        '{otlp_http: "0.0.0.0:4318", web: "0.0.0.0:80", insecure: true}',
        '{otlp_http: "127.8.9.10:0", otlp_grpc: "[::1]:4317", web: "localhost:8321"}',
        "{otlp_http: null, otlp_grpc: null, web: null}",
    ],
    ids=["token", "reader", "admin", "certificates", "insecure", "loopback", "off"],
)
def test_listeners_that_are_closed_or_meant_to_be_open_are_taken(tmp_path: Path, listen: str) -> None:
    loaded(tmp_path, f"listen: {listen}")


def test_zero_is_a_value_where_it_makes_sense(tmp_path: Path) -> None:
    config = loaded(tmp_path, "sample: {rate: 0}\nassemble: {quiet: 0, lateness: 0}\nalerts: {give_up: 0}")
    assert (config.sample.rate, config.assemble.quiet, config.assemble.lateness, config.alerts.give_up) == (0, 0, 0, 0)


def test_the_service_is_a_slice_even_if_other_slices_are_named(tmp_path: Path) -> None:
    assert list(loaded(tmp_path, "slices: {tenant: resource.tenant}").slices) == ["service", "tenant"]


def test_yaml_merge_keys_may_repeat_what_they_merge(tmp_path: Path) -> None:
    text = "monitors: [&usual {watch: refusal, warmup: 50}, {<<: *usual, name: again, warmup: 60}]"
    assert [monitor.warmup for monitor in loaded(tmp_path, text).monitors] == [50, 60]


# --- secrets ---


def test_a_secret_comes_from_the_environment_or_a_file_and_is_printed_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{PASSWORD}\n")
    config = loaded(
        tmp_path,
        f"""
        listen: {{tokens: [{{name: app, role: ingest, env: DRIFTLINE_TEST_SECRET}}]}}
        kafka: {{brokers: [a:1], options: {{sasl_plain_password: {{env: DRIFTLINE_TEST_SECRET}}}}}}
        alerts:
          webhook: {{url: {{env: DRIFTLINE_TEST_URL}}, secret: {{file: {tmp_path}/secret}}}}
        """.replace("{env: DRIFTLINE_TEST_URL}", "https://ops.example"),
    )
    assert config.alerts.webhook is not None
    assert config.listen.tokens[0].digests() == [hashlib.sha256(PASSWORD.encode()).digest()]
    assert config.alerts.webhook.secret is not None
    assert reveal(config.alerts.webhook.secret) == PASSWORD
    assert PASSWORD not in repr(config) + str(config) + str(config.model_dump()) + config.model_dump_json()


def test_an_address_may_be_a_secret_and_is_not_repeated_when_it_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_TEST_SECRET", "gopher://token@nowhere")
    path = written(tmp_path, "alerts: {webhook: {url: {env: DRIFTLINE_TEST_SECRET}}}")
    assert problems(path) == ["alerts.webhook.url: the address is not an http:// or https:// address"]


@pytest.mark.parametrize(
    ("listen", "hosts"),
    [
        ("{}", []),
        ('{web: "[::1]:1"}', []),
        ('{web: "0.0.0.0:1", insecure: true}', None),
        ("{hosts: [Driftline.Example]}", ["driftline.example"]),
        ('{web: "0.0.0.0:1", insecure: true, hosts: []}', []),
    ],
)
def test_the_page_answers_to_known_names_where_only_this_machine_reaches_it(
    tmp_path: Path, listen: str, hosts: list[str] | None
) -> None:
    assert loaded(tmp_path, f"listen: {listen}").listen.web_hosts == hosts


@pytest.mark.parametrize(
    ("listen", "hosts"),
    [
        ("{}", []),
        ("{hosts: [Driftline.Example]}", ["driftline.example"]),
        ('{otlp_http: "0.0.0.0:1", insecure: true, hosts: [a.example]}', None),
    ],
)
def test_browsers_may_send_under_known_names_where_only_this_machine_is_listened_to(
    tmp_path: Path, listen: str, hosts: list[str] | None
) -> None:
    assert loaded(tmp_path, f"listen: {listen}").listen.otlp_hosts == hosts


# --- the environment ---


def test_the_environment_is_laid_over_the_file(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "store: {path: a.db, retention: 1d}\nscorers: [refusal]",
        DRIFTLINE_STORE__PATH="/data/b.db",
        DRIFTLINE_LISTEN__WEB="null",
        DRIFTLINE_SAMPLE__RATE="0",
        DRIFTLINE_SCORERS="[error, {use: latency, passing: '<= 3'}]",
        DRIFTLINE_ALERTS__ALERTMANAGER__URL="http://alertmanager:9093",
        DRIFTLINE_FALSE_PAGES="2 per month",
        DRIFTLINE_KAFKA__BROKERS="[kafka-1:9092, kafka-2:9092]",
    )
    assert (config.store.path, config.store.retention) == (Path("/data/b.db"), 86400)
    assert config.listen.web is None
    assert config.sample.rate == 0
    assert [(scorer.use, scorer.passing) for scorer in config.scorers] == [("error", None), ("latency", "<= 3")]
    assert config.alerts.alertmanager is not None
    assert config.alerts.alertmanager.url == "http://alertmanager:9093"
    assert config.false_pages.pages == 2
    assert config.kafka is not None
    assert config.kafka.brokers == ["kafka-1:9092", "kafka-2:9092"]
    assert [monitor.watch for monitor in config.monitors] == ["error"]


def test_the_environment_fills_a_section_that_the_file_leaves_empty(tmp_path: Path) -> None:
    assert loaded(tmp_path, "kafka: null", DRIFTLINE_KAFKA__BROKERS="[a:1]").kafka is not None


def test_a_variable_that_names_no_section_is_somebody_elses() -> None:
    assert load_config(None, {"DRIFTLINE_WEBHOOK_SECRET": "x", "DRIFTLINE": "1", "DRIFTLINES_STORE__PATH": "x"})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("DRIFTLINE_STORE__RETENTION", "30", "store.retention: 30 is not a duration with a unit"),
        ("DRIFTLINE_STORE__PTH", "x", "store.pth: there is no such key; did you mean path?"),
        ("DRIFTLINE_STOER__PATH", "x", "stoer: there is no such key; did you mean store?"),
        ("DRIFTLINE_STORE__PATH__NAME", "x", "store.path is not a mapping, so name cannot be set in it"),
        (
            "DRIFTLINE_LISTEN__TOKENS",
            PASSWORD,
            "listen.tokens: must be a list; a token is given as {name: NAME",
        ),
        ("DRIFTLINE_LISTEN__WEB", "{a: [", "listen.web: '{a: [' is not HOST:PORT"),
    ],
)
def test_a_fault_in_a_variable_names_the_variable(tmp_path: Path, name: str, value: str, told: str) -> None:
    path = written(tmp_path, "store: {path: a.db}")
    (problem,) = problems(path, **{name: value})
    assert problem.startswith(f"{name}: {told}")
    assert PASSWORD not in problem


# --- the schema ---


def test_the_json_schema_takes_the_example_and_refuses_what_is_wrong() -> None:
    schema = jsonschema_rs.validator_for(Config.model_json_schema())
    schema.validate(yaml.safe_load(EXAMPLE.read_text()))
    for name in ("section_unknown", "key_unknown", "kafka_encoding_unknown", "rate_over_one", "duration_without_unit"):
        assert not schema.is_valid(yaml.safe_load((WRONG / f"{name}.yaml").read_text())), name


def test_every_key_says_what_it_means() -> None:
    silent = [path for path, field in all_keys() if not field.description and path in Config.model_fields]
    assert silent == [name for name in Config.model_fields if Config.model_fields[name].description is None]
    assert [path for path, field in all_keys() if "." in path and not field.description] == []


# --- addresses ---


@pytest.mark.parametrize("address", ["", ":", "127.0.0.1", "127.0.0.1:", ":1", "a:b", "a:-1", "a:65536", "a:1²"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        split_address(address)


def test_addresses_of_ip_version_6_have_brackets() -> None:
    assert split_address("[::1]:65535") == ("::1", 65535)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ("store:\n  path: a.db  # here\n\n  retention: 1d\nscorers: [refusal\n", "a.db"),
        ("scorers: [refusal\nstore: {path: a.db}\n", "a.db"),
        ("store: {path: a.db}\nscorers: []\nscorers: []\n", "a.db"),
        ("store: {path: a.db}\nscorers: 7\n", "a.db"),
        ("scorers: []\n", "driftline.db"),
    ],
)
def test_where_the_store_is_can_be_told_although_the_rest_is_wrong(tmp_path: Path, content: str, path: str) -> None:
    assert store_path(written(tmp_path, content), {}) == Path(path)


@pytest.mark.parametrize("content", ["scorers: [refusal\n", "store: [\nscorers: []\n", "store: {path: 7\n}}\n"])
def test_where_the_store_is_cannot_be_told_and_what_is_wrong_is(tmp_path: Path, content: str) -> None:
    with pytest.raises(UserError, match="is not YAML, line"):
        store_path(written(tmp_path, content), {})
