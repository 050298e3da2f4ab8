"""Who opens connections: few, each known here, and none that follows where an answer points.

Kafka is not among them: brokers name one another, within the cluster that is configured.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("collector", "scorers", "drift", "alerts", "driftline")
CLIENTS = {
    *("httpx", "requests", "urllib.request", "urllib3", "http.client", "aiohttp", "smtplib", "ftplib", "websockets"),
    *("huggingface_hub", "model2vec", "sentence_transformers"),
}
KNOWN = {
    "alerts/http.py": "httpx: notifiers; tests/alerts/test_http.py",
    "alerts/message.py": "httpx: takes addresses apart, sends nothing",
    "alerts/events.py": "requests: result events; tests/alerts/test_events.py",
    "alerts/notifiers/email.py": "smtplib: letters, to the one server that is configured",
    "driftline/demo/player.py": "http.client: the demo, to its own listener; follows nothing",
    "scorers/models/embedders.py": "model2vec, sentence_transformers: fetch a model that is configured by its name",
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_that_has_a_client_is_known_and_its_redirects_are_thought_of() -> None:
    found = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        names = {name for name in imported(path) for client in CLIENTS if f"{name}.".startswith(f"{client}.")}
        if names:
            found.add(str(path.relative_to(ROOT)))
    assert found == set(KNOWN)


def test_nothing_asks_to_follow_redirects() -> None:
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg in ("follow_redirects", "allow_redirects"):
                assert isinstance(node.value, ast.Constant) and node.value.value is False, path
