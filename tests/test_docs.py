"""The documentation is current, complete and true: what it names exists, what exists it names, what it shows runs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from collector.core.model import Trace
from collector.core.telemetry import Telemetry
from collector.sample import Admission
from driftline import reference
from driftline.cli import COMMANDS
from driftline.commands.check import load_all
from driftline.config import Config, load_config
from driftline.faults import model_in
from driftline.flow import load_parts
from scorers.runner import Runner

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
README = (ROOT / "README.md").read_text()
EVERYTHING = "\n".join(page.read_text() for page in PAGES)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)\s]+)?\)")
OTHERS_DOCUMENTS = (
    "apiVersion",
    "scrape_configs",
    "exporters",
    "receivers",
)  # of Kubernetes, Prometheus and the Collector


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in FENCED.findall(page.read_text()) if found == language]


def slug(heading: str) -> str:
    """A heading's anchor, as forges make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


# --- current ---


@pytest.mark.parametrize(("name", "renew"), reference.DOCUMENTS.items())
def test_what_is_written_from_the_code_is_current(name: str, renew: Any) -> None:
    text = (ROOT / "docs" / name).read_text()
    assert renew(text) == text, f"docs/{name} is out of date; run: {reference.HOW}"


def test_a_document_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the document has no <!-- configuration"):
        reference.configuration_document("# Configuration\n")


def test_the_reference_command_mends_what_is_stale_and_leaves_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    current = {name: (ROOT / "docs" / name).read_text() for name in reference.DOCUMENTS}
    (tmp_path / "configuration.md").write_text(current["configuration.md"].replace("| `store.path` |", "| `store.p` |"))
    for name in ("metrics.md", "exports.md"):
        (tmp_path / name).write_text(current[name])
    assert reference.main(tmp_path) == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == current
    assert capsys.readouterr().out == f"{tmp_path}/configuration.md is up to date again\n"


# --- complete ---


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"driftline {command}" in EVERYTHING


@pytest.mark.parametrize("section", Config.model_fields)
def test_every_section_is_documented_with_its_keys(section: str) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    model = model_in(Config.model_fields[section].annotation)
    assert f"### `{section}`\n" in text
    for name in model.model_fields if model is not None else ():
        assert re.search(rf"`{section}(\[\])?\.{name}`", text), name


def test_every_page_is_reached_from_the_readme() -> None:
    linked = {target for target, _ in LINK.findall(README)}
    assert [page.name for page in DOCS if f"docs/{page.name}" not in linked] == []


def test_every_metric_has_help_and_a_unit_as_last_word() -> None:
    instruments = reference.all_telemetry().instruments()
    assert len(instruments) > 30
    for instrument in instruments:
        assert re.fullmatch(r"driftline(_[a-z0-9]+)+", instrument.name)
        assert len(instrument.help) > 10, instrument.name
        assert not instrument.name.endswith("_total"), instrument.name
        assert not instrument.unit or instrument.name.endswith(f"_{instrument.unit}"), instrument.name


def test_every_instrument_in_the_code_is_in_the_table_of_metrics() -> None:
    """Also those of parts that a service makes late, or only when something happens."""
    declared = re.compile(r"\.(?:counter|gauge|histogram)\(\s*\"(driftline_\w+)\"")
    sources = [
        path
        for name in ("collector", "scorers", "drift", "alerts", "driftline")
        for path in (ROOT / name).rglob("*.py")
    ]
    code = "\n".join(re.sub(r"^\s*>>>.*$", "", path.read_text(), flags=re.MULTILINE) for path in sources)
    table = (ROOT / "docs" / "metrics.md").read_text()
    names = set(declared.findall(code))
    assert len(names) > 30
    assert [name for name in sorted(names) if not re.search(rf"^\| `{name}(_total)?` \|", table, re.MULTILINE)] == []


# --- true ---


def test_every_metric_that_is_named_exists() -> None:
    pages = "\n".join([EVERYTHING, *(path.read_text() for path in (ROOT / "deploy").rglob("*.yml"))])
    table = (ROOT / "docs" / "metrics.md").read_text()
    known = {*re.findall(r"^\| `(driftline_\w+)` \|", table, re.MULTILINE), "driftline_info"}
    suffixes = re.compile(r"_(bucket|count|sum)$")
    named = set(re.findall(r"\b(driftline_[a-z_]+[a-z])\b(?![:.(*{]\w*\()", pages))
    wrong = {name for name in named if name not in known and suffixes.sub("", name) not in known}
    assert wrong == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target, anchor in LINK.findall(page.read_text()):
        if "://" in target or target.startswith("mailto:"):
            continue
        path = page.parent / target
        if not path.exists():
            broken.append(target)
        elif anchor and path.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            if anchor[1:] not in map(slug, headings):
                broken.append(target + anchor)
    assert broken == []


SHOWN = [
    (page, number, text)
    for page in PAGES
    for number, text in enumerate(blocks(page, "yaml"))
    if not any(section in yaml.safe_load(text) for section in OTHERS_DOCUMENTS)
]


def planted(folder: Path, name: str, value: str) -> Path:
    """A file with a secret of its own, where a configuration names one."""
    path = folder / name.replace("/", "_")
    path.write_text(value + path.name)
    return path


@pytest.mark.parametrize(("page", "text"), [pytest.param(p, t, id=f"{p.stem}-{n}") for p, n, t in SHOWN])
def test_a_configuration_that_is_shown_is_valid(
    page: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = "https://secret.example/" + "s" * 32  # long enough for a key, and an address for where it must be one
    for name in re.findall(r"env: (\w+)", text):
        monkeypatch.setenv(name, value + name)
    path = tmp_path / "driftline.yaml"
    path.write_text(re.sub(r"file: /([^},\s]+)", lambda named: f"file: {planted(tmp_path, named[1], value)}", text))
    config = load_config(path, {})
    assert set(yaml.safe_load(text)) <= config.model_fields_set


def test_the_scorer_and_its_configuration_in_the_readme_work_together(tmp_path: Path) -> None:
    source = next(text for text in blocks(ROOT / "README.md", "python") if "@scorer" in text)
    configured = next(text for text in blocks(ROOT / "README.md", "yaml") if "my_scorers.py" in text)
    (tmp_path / "my_scorers.py").write_text(source)
    (tmp_path / "driftline.yaml").write_text(configured)
    config = load_config(tmp_path / "driftline.yaml", {})
    load_all(config)
    scorers, _ = load_parts(config)
    runner = Runner(scorers, Telemetry())
    try:
        for answer, value, passed in (("Here you are, thank you!", 1.0, True), ("No.", 0.0, False)):
            trace = Trace("ab" * 16, answer=answer)
            decisions = {one.scorer: one for one in runner.evaluate(trace, Admission(0.0, 1.0, 1.0, "sample.rate"))}
            score = decisions["politeness"].score
            assert score is not None, decisions["politeness"]
            assert (score.value, score.passed) == (value, passed)
    finally:
        runner.close()


def test_python_that_is_shown_compiles() -> None:
    shown = [(page, text) for page in PAGES for text in blocks(page, "python")]
    assert shown
    for page, text in shown:
        compile(text, str(page), "exec")


# --- what is deployed ---


@pytest.mark.parametrize("path", sorted((ROOT / "deploy" / "collector").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_collector_configuration_uses_only_what_it_defines_and_sends_both_signals(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    pipelines = document["service"]["pipelines"]
    of_whole_traces = path.stem in ("tail_sampling", "loadbalancing")  # which no log event waits for
    assert set(pipelines) == ({TRACES_KIND} if of_whole_traces else {TRACES_KIND, EVENTS_KIND})
    for pipeline in pipelines.values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(document[kind])
    assert set(document["service"].get("extensions", ())) == set(document.get("extensions", {}))


def test_the_collector_writes_to_kafka_what_driftline_reads_by_default() -> None:
    exporter = yaml.safe_load((ROOT / "deploy" / "collector" / "kafka.yaml").read_text())["exporters"]["kafka"]
    config = Config.model_validate({"kafka": {"brokers": exporter["brokers"]}}).kafka
    assert config is not None
    assert [exporter[signal]["topic"] for signal in ("traces", "logs")] == [*config.traces, *config.logs]
    assert {exporter[signal]["encoding"] for signal in ("traces", "logs")} == {config.encoding}
    assert exporter["producer"]["required_acks"] == -1


def test_the_unit_runs_commands_and_sets_keys_that_exist() -> None:
    unit = (ROOT / "deploy" / "systemd" / "driftline.service").read_text()
    commands = re.findall(r"^Exec\w+=/opt/driftline/bin/driftline (\w+)", unit, re.MULTILINE)
    assert commands == ["check", "serve", "reload"]
    assert set(commands) <= set(COMMANDS)
    environ = dict(re.findall(r"\b(DRIFTLINE_\w+)=(\S+)", unit))
    assert load_config(None, environ).store.path == Path("/var/lib/driftline/driftline.db")
    assert "RestartPreventExitStatus=2\n" in unit


def test_the_models_of_the_configuration_are_all_in_its_reference() -> None:
    def below(model: type[BaseModel]) -> set[type[BaseModel]]:
        inner = [found for field in model.model_fields.values() if (found := model_in(field.annotation))]
        return {model, *(one for found in inner for one in below(found))}

    documented = {path.rpartition(".")[2] for path, _ in reference.all_keys()}
    assert {name for model in below(Config) for name in model.model_fields} == documented
