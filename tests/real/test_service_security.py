"""A service that asks who comes in: what it lets in, what it tells of it, and that it tells no secret.

`PLANTED` has a secret in every field that takes one; a field that is new is missed by the test of that name.
"""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import grpc
import httpx
import pytest
from pydantic import BaseModel, SecretStr

from driftline.config import Config
from tests.real.bodies import record_app
from tests.real.cluster import PROTOBUF, START_NS
from tests.real.service import Service, run_driftline, service

TLS_FILES = Path(__file__).parents[1] / "data" / "tls"
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
OWN_SECRETS = {"cluster.options", "kafka.options", "export.kafka.options", "alerts.plugins.options"}
"""Free mappings in which a secret may stand; the others of that kind (`scorers.options`, ...) take none."""
NO_SECRETS = {"scorers.options", "monitors.options", "rules.when", "rules.must", "rules.must_not"}


class Secrets:
    """A variable of the environment for each field; every value is another, and looks like nothing that is redacted."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}

    def __call__(self, field: str, form: str = "{}") -> dict[str, str]:
        word = f"kumquat{len(self.planted)}marmalade{os.urandom(3).hex()}"
        name = f"PLANTED_{len(self.planted)}"
        self.planted[field] = word
        os.environ[name] = form.format(word * 2 if field == "redact.key" else word)
        return {"env": name}

    @property
    def words(self) -> list[str]:
        return list(self.planted.values())


@pytest.fixture
def secrets() -> Iterator[Secrets]:
    made = Secrets()
    yield made
    for number in range(len(made.planted)):
        del os.environ[f"PLANTED_{number}"]


def document(secrets: Secrets, echo: str, closed: str, folder: Path) -> dict[str, Any]:
    """Everything that takes a secret, and where each is, every far end is hostile or not there."""

    def http(field: str, **more: Any) -> dict[str, Any]:
        url = secrets(f"{field}.url", f"{echo}/{{}}/hook")
        return {"url": url, "headers": {"X-Key": secrets(f"{field}.headers")}, **more}

    plugin = {"url": secrets("alerts.plugins.options", f"{echo}/{{}}"), "name": "own"}
    return {
        "listen": {
            "tokens": [
                {"name": "app", "role": "ingest", **secrets("listen.tokens")},
                {"name": "ana", "role": "read", **secrets("listen.tokens.second")},
            ],
            "tls": {"certificate": str(TLS_FILES / "localhost.crt"), "key": str(TLS_FILES / "localhost.key")},
            "wrong_tokens": None,
        },
        "kafka": {
            "brokers": [closed],
            "options": {
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_mechanism": "PLAIN",
                "sasl_plain_username": "driftline",
                "sasl_plain_password": secrets("kafka.options"),
            },
        },
        "alerts": {
            "alertmanager": http("alerts.alertmanager"),
            "webhook": http("alerts.webhook", secret=secrets("alerts.webhook.secret")),
            "slack": http("alerts.slack"),
            "pagerduty": http("alerts.pagerduty", routing_key=secrets("alerts.pagerduty.routing_key")),
            "teams": http("alerts.teams"),
            "email": {
                "host": closed.partition(":")[0],
                "port": int(closed.partition(":")[2]),
                "security": "tls",
                "sender": "driftline@example.org",
                "to": ["ana@example.org"],
                "username": "driftline",
                "password": secrets("alerts.email.password"),
            },
            "plugins": [{"use": "webhook", "options": plugin}],
        },
        "events": {
            "otlp_http": secrets("events.otlp_http", f"{echo}/{{}}"),
            "headers": {"X-Key": secrets("events.headers")},
            "timeout": "1s",
        },
        "metrics": {
            "otlp_http": secrets("metrics.otlp_http", f"{echo}/{{}}"),
            "headers": {"X-Key": secrets("metrics.headers")},
            "every": "1s",
            "timeout": "1s",
            "remote_write": http("metrics.remote_write", every="1s"),
        },
        "export": {
            "kafka": {
                "brokers": [closed],
                "options": {
                    "security_protocol": "SASL_PLAINTEXT",
                    "sasl_mechanism": "PLAIN",
                    "sasl_plain_username": "driftline",
                    "sasl_plain_password": secrets("export.kafka.options"),
                },
            }
        },
        "redact": {"key": secrets("redact.key")},
        "audit": {"path": str(folder / "audit.jsonl")},
        "scorers": ["latency", "refusal"],
        "monitors": [],
    }


def fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        yield f"{path}{name}", field.annotation
        for inner in _models(field.annotation):
            yield from fields(inner, f"{path}{name}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _holds(annotation: Any, wanted: object) -> bool:
    return annotation is wanted or any(_holds(part, wanted) for part in get_args(annotation))


def test_every_field_that_takes_a_secret_has_one_planted(secrets: Secrets, tmp_path: Path) -> None:
    document(secrets, "http://127.0.0.1:1", "127.0.0.1:1", tmp_path)
    found = dict(fields(Config))
    free = {path for path, annotation in found.items() if _holds(annotation, Any) and not _holds(annotation, SecretStr)}
    assert free == OWN_SECRETS | NO_SECRETS, "a new free mapping: may a secret be in it?"
    taking = {path for path, annotation in found.items() if _holds(annotation, SecretStr)}
    assert len(taking) >= 16
    planted = {*secrets.planted} - {"listen.tokens", "listen.tokens.second"}
    assert planted == taking | OWN_SECRETS - {"cluster.options"}  # that of a cluster is in test_kafka_security.py


@contextlib.contextmanager
def echo_server() -> Iterator[str]:
    """Refuses everything, and says in the refusal, as line and as header, all that it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            sent = " ".join([self.path, *(f"{name}: {value}" for name, value in self.headers.items())])
            answer = f"no: {sent} ".encode() + body
            self.send_response(401, "no")
            self.send_header("X-Said", sent.encode("ascii", "replace").decode()[:2000])
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def trust(name: str = "localhost") -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(TLS_FILES / f"{name}.crt"))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_no_secret_is_in_any_log_metric_page_answer_or_file(secrets: Secrets, tmp_path: Path) -> None:
    (body,) = record_app(1, 5, START_NS)
    told: dict[str, str] = {}
    with socket.create_server(("127.0.0.1", 0)) as taken:  # closed again before anybody knocks
        closed = f"127.0.0.1:{taken.getsockname()[1]}"
    with echo_server() as echo, service(tmp_path, document(secrets, echo, closed, tmp_path), ready=False) as driftline:
        app, ana = secrets.planted["listen.tokens"], secrets.planted["listen.tokens.second"]
        otlp = f"https://localhost:{driftline.addresses['otlp_http'].rpartition(':')[2]}/v1/traces"
        content = body.spans.SerializeToString()
        with httpx.Client(verify=trust()) as client:
            for number, (token, status) in enumerate([(app, 200), (ana, 403), (f"{app}x", 401), (app[:-1], 401)]):
                reply = client.post(otlp, content=content, headers={**PROTOBUF, **bearer(token)})
                assert reply.status_code == status
                told[f"answer {number}"] = f"{reply.headers} {reply.text}"
            bad = client.post(otlp, content=b"\xff" * 50, headers={**PROTOBUF, **bearer(app)})
            told["bad request"] = f"{bad.status_code} {bad.text}"
        with pytest.raises(httpx.TransportError):
            httpx.post(otlp.replace("https", "http"), headers=bearer(app))
        with pytest.raises(httpx.TransportError):
            httpx.post(otlp, headers=bearer(app), verify=trust("renewed"))
        driftline.wait(lambda: _read(driftline, "/api/traces", ana).json()["traces"], "the trace to be evaluated")
        not_taken = 'driftline_metric_pushes_total{outcome="failed"}'
        driftline.wait(lambda: f"{not_taken} 0.0" not in _read(driftline, "/metrics", ana).text, "a push to fail")
        refused = 'driftline_remote_write_samples_total{outcome="refused"}'
        driftline.wait(lambda: f"{refused} 0.0" not in _read(driftline, "/metrics", ana).text, "samples to be refused")
        failed = 'driftline_evaluation_events_total{outcome="failed"}'
        driftline.wait(lambda: f"{failed} 0.0" not in _read(driftline, "/metrics", ana).text, "events to fail")
        assert failed in _read(driftline, "/metrics", ana).text
        driftline.wait(lambda: "kafka" in _read(driftline, "/readyz", ana).text, "Kafka to be missed")
        for path in _PATHS:
            told[path] = _read(driftline, path.format(trace_id=body.trace_id), ana).text
            told[f"{path} refused"] = _read(driftline, path.format(trace_id=body.trace_id), app).text
        right = driftline.config_path.read_text()
        for number, wrong in enumerate(_WRONG, 1):
            driftline.config_path.write_text(wrong)
            os.kill(driftline.process.pid, signal.SIGHUP)
            driftline.wait(partial(_refused, driftline, number), "it to be refused")
        driftline.config_path.write_text(right)
        for arguments in (["check"], ["alerts", "test"], ["backup", tmp_path / "backup.db"], ["why", body.trace_id]):
            ended = run_driftline(*arguments, "-c", driftline.config_path)
            told[" ".join(map(str, arguments))] = ended.stdout + ended.stderr
        assert driftline.stop() == 0
        told["log"] = driftline.log
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"audit.jsonl", "backup.db", "driftline.db", "driftline.view.db"} <= {file.name for file in files}
    for name in ("audit.jsonl", "backup.db", "driftline.db", "driftline.view.db"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0, f"{name} is for its owner only"
    for file in files:
        told[file.name] = file.read_bytes().decode("utf-8", "replace")
    assert "not delivered" in told["alerts test"] or "401" in told["alerts test"]
    leaks = {(where, field) for where, text in told.items() for field, word in secrets.planted.items() if word in text}
    assert leaks == set()
    assert len(told) > 40


_PATHS = (
    *("/", "/traces/{trace_id}", "/traces/nope", "/changes/nope", "/nowhere", "/metrics", "/healthz", "/readyz"),
    *("/api/status", "/api/changes", "/api/traces", "/api/traces/{trace_id}", "/api/funnel", "/api/series"),
    *("/api/scores?scorer=latency", "/api/scores", "/api/nowhere"),
)


_WRONG = (
    "alerts: {webhook: {url: {env: PLANTED_0}}}",
    "listen: {tokens: [{env: PLANTED_0}]}",
    "redact: {key: {env: PLANTED_0}}",
)


def _refused(driftline: Service, times: int) -> bool:
    return driftline.log.count("is not taken up") >= times


def _read(driftline: Service, path: str, token: str) -> httpx.Response:
    return httpx.get(f"http://{driftline.web}{path}", headers=bearer(token))


# --- reload, and the audit log ---


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def actions(path: Path) -> list[str]:
    return [line["action"] for line in lines(path)]


def test_what_is_done_is_told_with_who_did_it_and_to_what(tmp_path: Path) -> None:
    audit, tokens = tmp_path / "audit.jsonl", tmp_path / "app.token"
    tokens.write_text("kumquat-one\n")
    app = {"name": "app", "role": "ingest", "file": str(tokens)}
    settings: dict[str, Any] = {
        "listen": {"tokens": [app]},
        "audit": {"path": str(audit)},
        "scorers": ["latency"],
        "monitors": [],
    }
    content = record_app(1, 6, START_NS)[0].spans.SerializeToString()

    with service(tmp_path, settings) as driftline:

        def status(token: str) -> int:
            url = f"{driftline.otlp_http}/v1/traces"
            return httpx.post(url, content=content, headers={**PROTOBUF, **bearer(token)}).status_code

        def reload(changed: Mapping[str, Any], action: str) -> None:
            driftline.configure({**settings, **changed})
            before = len(lines(audit))
            os.kill(driftline.process.pid, signal.SIGHUP)
            driftline.wait(lambda: action in actions(audit)[before:], action)

        assert (status("kumquat-one"), status("kumquat-two"), status("kumquat-new")) == (200, 401, 401)
        second = tmp_path / "second.token"
        second.write_text("kumquat-new\n")
        new = {"name": "new", "role": "ingest", "file": str(second)}
        reload({"listen": {"tokens": [app, new]}, "sample": {"rate": 0.5}}, "config.reloaded")
        assert (status("kumquat-one"), status("kumquat-new")) == (200, 200), "a token that is new is in force"
        reload({"sample": {"rate": 7}}, "config.refused")
        tokens.write_text("kumquat-two\n")
        driftline.wait(lambda: status("kumquat-two") == 200, "the changed file to be read")
        assert status("kumquat-one") == 401
        assert run_driftline("backup", tmp_path / "backup.db", "-c", driftline.config_path).returncode == 2
        driftline.configure(settings)
        assert run_driftline("backup", tmp_path / "backup.db", "-c", driftline.config_path).returncode == 0
        assert driftline.stop() == 0
        restored = run_driftline("restore", tmp_path / "backup.db", "--force", "-c", driftline.config_path)
        assert restored.returncode == 0, restored.stderr
        log = driftline.log

    told = lines(audit)
    assert [line["action"] for line in told] == [
        *("service.started", "access.refused", "config.reloaded", "config.refused", "tokens.changed"),
        *("service.stopped", "store.restored"),
    ]
    started, refused, reloaded, wrong, changed, _, restore = told
    assert (refused["address"], refused["listener"], refused["reason"]) == ("127.0.0.1", "otlp_http", "unauthorized")
    assert sorted(reloaded["changed"]) == ["listen.tokens", "sample.rate"]
    assert (wrong["problems"], changed["name"], changed["tokens"]) == (1, "app", 1)
    assert restore["source"] == str(tmp_path / "backup.db")
    assert Path(restore["replaced"]).exists()
    assert {line["user"] for line in told if "user" in line} == {started["user"]} != {""}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", started["at"])
    assert '"action":"config.reloaded"' in log, "it is in the log of the service too"
    assert "kumquat" not in audit.read_text() + log


HOSTILE_TEXT = "x\n2026-01-01 00:00:00,000 INFO driftline.audit forged\r\x1b[2J\u2028"
KNOWN_ACTIONS = {"service.started", "access.refused"}


def hostile_requests(driftline: Service) -> Iterator[tuple[str, bytes]]:
    """Where to, and the bytes of a request in which something tries to be a line of its own."""
    quoted = quote(HOSTILE_TEXT)
    basic = base64.b64encode(f"{HOSTILE_TEXT}:{HOSTILE_TEXT}".encode()).decode()
    for listener, path in (
        ("web", "/api/traces"),
        ("web", "/traces"),
        ("web", "/changes"),
        ("otlp_http", "/v1/traces"),
    ):
        for target in (f"{path}/{quoted}", f"{path}?{quoted}={quoted}", f"{path}?limit={quoted}"):
            for authorization in (f"Bearer {quoted}", f"Basic {basic}", "Bearer a\x0bb", "Bearer \x1b[2J", quoted):
                for host in ("127.0.0.1", "evil\x1b[2J"):
                    head = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n"
                    head += f"X-Forwarded-For: {quoted}\r\nUser-Agent: a\x1b[2Jb\r\nConnection: close\r\n\r\n"
                    yield driftline.addresses[listener], head.encode("latin-1")
        yield driftline.addresses[listener], f"GE{chr(10)}T {path}\nforged HTTP/1.1\r\n\r\n".encode()


def exchange(address: str, request: bytes) -> bytes:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while more := connection.recv(65536):
                answer += more
        return answer


def test_what_strangers_send_forges_no_line_and_fills_no_log(tmp_path: Path) -> None:
    """Line breaks and control characters wherever a client may put text, and one wrong token after the other."""
    audit, tokens = tmp_path / "audit.jsonl", []
    for role in ("ingest", "read"):
        file = tmp_path / f"{role}.token"
        file.write_text(f"kumquat-{role}\n")
        tokens.append({"name": role, "role": role, "file": str(file)})
    settings: dict[str, Any] = {
        "listen": {"tokens": tokens, "wrong_tokens": "100 per minute", "rate_limit": "10000 per minute"},
        "audit": {"path": str(audit)},
        "scorers": ["latency"],
        "monitors": [],
    }
    with service(tmp_path, settings) as driftline:
        answers = [exchange(*request) for request in hostile_requests(driftline)]
        assert len(answers) > 100
        assert {answer.split(b" ", 2)[1][:1] for answer in answers if answer} == {b"4"}
        url = f"{driftline.otlp_http}/v1/traces"
        for number in range(500):
            httpx.post(url, headers={**PROTOBUF, **bearer(f"kumquat-guess-{number}")})
        assert httpx.post(url, headers={**PROTOBUF, **bearer("kumquat-ingest")}).status_code == 429, "shut out"
        metrics = httpx.get(f"http://{driftline.web}/metrics", headers=bearer("kumquat-read"))
        assert metrics.status_code == 429, "from this address, at every listener"
        log = driftline.log
        told = audit.read_text()
    assert {json.loads(line)["action"] for line in told.splitlines()} == KNOWN_ACTIONS
    assert told.replace("\n", "").isprintable()
    assert len(told.splitlines()) <= 10, "of one address, each kind is told once a minute"
    entries = [line for line in log.splitlines() if not line.startswith("    ")]
    assert not [line for line in entries if line.startswith("2026-01-01")]
    assert all(one.isprintable() or one == "\n" for one in log)
    assert len(entries) < 20, "what strangers send is counted, not told one by one"
    assert "kumquat" not in told + log


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" * 3]
)
def test_handshakes_that_fail_fill_no_log(tmp_path: Path, sent: bytes) -> None:
    files = {"certificate": str(TLS_FILES / "localhost.crt"), "key": str(TLS_FILES / "localhost.key")}
    settings = {"listen": {"tls": files, "web_tls": files}, "scorers": ["latency"], "monitors": []}
    with service(tmp_path, settings, ready=False) as driftline:
        for address in driftline.addresses.values():
            for _ in range(20):
                exchange(address, sent)
        assert driftline.stop() == 0
        lines = driftline.log.splitlines()
    assert len(lines) < 10, lines


def test_prometheus_reads_the_metrics_with_a_token_and_not_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prometheus_factory: Any
) -> None:
    monkeypatch.setenv("READER", "kumquat-reader")
    tokens = [{"name": "prometheus", "role": "read", "env": "READER"}]
    settings = {"listen": {"tokens": tokens}, "scorers": ["latency"], "monitors": []}
    with service(tmp_path, settings) as driftline:
        for token, up in (("kumquat-reader", 1), ("another", 0)):
            prometheus = prometheus_factory([driftline.web], token=token)
            driftline.wait(lambda p=prometheus: p.query("up"), "it to be scraped")  # type: ignore[misc]
            assert [sample.value for sample in prometheus.query("up")] == [up]


def test_certificates_are_renewed_at_every_listener_while_it_runs(tmp_path: Path) -> None:
    def put(name: str) -> None:
        for end in ("crt", "key"):
            shutil.copy(TLS_FILES / f"{name}.{end}", tmp_path / f"tls.{end}")

    put("localhost")
    files = {"certificate": str(tmp_path / "tls.crt"), "key": str(tmp_path / "tls.key")}
    content = record_app(1, 7, START_NS)[0].spans.SerializeToString()
    settings = {"listen": {"tls": files, "web_tls": files}, "scorers": ["latency"], "monitors": []}

    with service(tmp_path, settings, ready=False) as driftline:
        ports = {name: address.rpartition(":")[2] for name, address in driftline.addresses.items()}

        def served(name: str) -> dict[str, bool]:
            found = {}
            for listener, path in (("web", "/readyz"), ("otlp_http", "/")):
                with contextlib.suppress(httpx.ConnectError):
                    reply = httpx.get(f"https://localhost:{ports[listener]}{path}", verify=trust(name))
                    found[listener] = reply.is_success
            root = grpc.ssl_channel_credentials((TLS_FILES / f"{name}.crt").read_bytes())
            options = [("grpc.use_local_subchannel_pool", 1)]
            channel = grpc.secure_channel(f"localhost:{ports['otlp_grpc']}", root, options)
            with channel, contextlib.suppress(grpc.RpcError):
                found["otlp_grpc"] = channel.unary_unary(TRACES)(content, timeout=10) == b""
            return found

        everywhere = {"web": True, "otlp_http": True, "otlp_grpc": True}
        driftline.wait(lambda: served("localhost") == everywhere, "it to be ready")
        put("renewed")
        shutil.copy(TLS_FILES / "localhost.key", tmp_path / "tls.key")
        os.kill(driftline.process.pid, signal.SIGHUP)
        driftline.wait(lambda: "tls.key cannot be used" in driftline.log, "files that do not fit to be refused")
        assert served("localhost") == everywhere
        put("renewed")
        os.kill(driftline.process.pid, signal.SIGHUP)
        driftline.wait(lambda: served("renewed") == everywhere, "the new certificate to be served")
        assert served("localhost") == {}
        assert driftline.stop() == 0
