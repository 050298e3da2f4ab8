"""A cluster that is reached over TLS, by those who know the password."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from tests.real.app import Settings
from tests.real.bodies import record_app
from tests.real.cluster import DOCUMENT, QUICK_BROKER, SECOND_NS, START_NS, Senders, assert_once, cluster
from tests.real.parts.kafka import KafkaBroker, kafka_broker
from tests.real.parts.process import free_ports
from tests.real.service import run_driftline

pytestmark = pytest.mark.long

TLS = Path(__file__).parents[1] / "data" / "tls"
CERTIFICATE = TLS / "localhost.crt"  # made for tests, trusted by nobody
USER, PASSWORD = "driftline", "correct-horse-battery"
MODULES = {"PLAIN": "plain.PlainLoginModule", "SCRAM-SHA-512": "scram.ScramLoginModule"}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KafkaBroker, str]]:
    """A broker, and its address for clients that use TLS and a password."""
    folder = tmp_path_factory.mktemp("secured")
    (port,) = free_ports(1)
    pem = folder / "broker.pem"
    pem.write_text((TLS / "localhost.key").read_text() + CERTIFICATE.read_text())
    settings = {
        **QUICK_BROKER,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
        "sasl.enabled.mechanisms": ",".join(MODULES),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": pem,
    }
    for mechanism, module in MODULES.items():
        users = f' user_{USER}="{PASSWORD}"' if mechanism == "PLAIN" else ""
        jaas = f"org.apache.kafka.common.security.{module} required{users};"
        settings[f"listener.name.secure.{mechanism.lower()}.sasl.jaas.config"] = jaas
    with kafka_broker(folder / "broker", settings, [f"SECURE://localhost:{port}"]) as broker:
        with broker.admin() as admin:
            credential = UserScramCredentialUpsertion(USER, ScramMechanism.SCRAM_SHA_512, PASSWORD)
            assert admin.alter_user_scram_credentials([credential]) == {USER: None}
        yield broker, f"localhost:{port}"


def section(address: str, mechanism: str, password: dict[str, str]) -> dict[str, Any]:
    return {
        "brokers": [address],
        "compression": "gzip",
        "options": {
            "session_timeout_ms": 3000,
            "security_protocol": "SASL_SSL",
            "ssl_cafile": str(CERTIFICATE),
            "sasl_mechanism": mechanism,
            "sasl_plain_username": USER,
            "sasl_plain_password": password,
        },
    }


@pytest.mark.parametrize(("mechanism", "kind"), [("SCRAM-SHA-512", "file"), ("PLAIN", "env")])
def test_workers_reach_a_cluster_over_tls_with_a_password_that_is_never_said(
    mechanism: str, kind: str, secured: tuple[KafkaBroker, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, address = secured
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", PASSWORD)
    password = {kind: str(secret) if kind == "file" else "TEST_KAFKA_PASSWORD"}
    document = {**DOCUMENT, "cluster": section(address, mechanism, password)}
    bodies = record_app(20, 47, START_NS, Settings(spacing_ns=20 * SECOND_NS, content="span"))
    with cluster(broker, tmp_path, f"secured-{kind}", document, 2) as part:
        worker = part.worker()
        Senders(part.workers, bodies).run(4)
        part.end_input()
        part.wait_for_traces(len(bodies))
        assert_once(part, len(bodies))
        checked = run_driftline("check", "-c", worker.config_path)
        assert checked.returncode == 0, checked.stderr
        assert worker.stop() == 0
        assert PASSWORD not in worker.log + checked.stdout + checked.stderr + worker.config_path.read_text()


def replayed(address: str, topic: str, path: Path, **wrong: Any) -> CompletedProcess[str]:
    """`driftline replay --kafka` over TLS with a password, with some options wrong."""
    options = section(address, "SCRAM-SHA-512", {"env": "TEST_KAFKA_PASSWORD"})["options"] | wrong
    del options["session_timeout_ms"]  # of a group: a replay joins none
    kafka = {"brokers": [address], "traces": topic, "logs": None, "options": options}
    path.write_text(yaml.safe_dump({"scorers": ["groundedness", "refusal"], "kafka": kafka}))
    return run_driftline("replay", "--json", "-c", path, "--kafka", f"{topic}@..")


def test_a_replay_reads_a_topic_over_tls_with_a_password_that_is_never_said(
    secured: tuple[KafkaBroker, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, address = secured
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", PASSWORD)
    topic = broker.create_topic("replayed", partitions=2)
    bodies = record_app(10, 48, START_NS, Settings(spacing_ns=20 * SECOND_NS, content="span"))
    with broker.producer(acks="all") as producer:
        for number, body in enumerate(bodies):
            stamp = time.time_ns() // 10**6 + number
            producer.send(topic, body.spans.SerializeToString(), partition=number % 2, timestamp_ms=stamp)
        producer.flush()
    path = tmp_path / "driftline.yaml"
    done = replayed(address, topic, path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["traces_scored"] == len(bodies)
    monkeypatch.setenv("WRONG_KAFKA_PASSWORD", "wrong-horse")
    for wrong in ({"sasl_plain_password": {"env": "WRONG_KAFKA_PASSWORD"}}, {"ssl_cafile": None}):
        refused = replayed(address, topic, path, **wrong)
        assert refused.returncode == 3, refused.stdout + refused.stderr
        (line,) = refused.stderr.strip().splitlines()
        assert line.startswith(f"driftline: --kafka: Kafka at {address}: ")
        assert "certificate, password or mechanism in `options` does not fit" in line
        assert PASSWORD not in done.stdout + done.stderr + line
        assert "wrong-horse" not in line


@pytest.mark.parametrize("wrong", [{"sasl_plain_password": {"env": "WRONG_KAFKA_PASSWORD"}}, {"ssl_cafile": None}])
def test_who_is_not_let_in_is_told_so_in_one_line(
    wrong: dict[str, Any], secured: tuple[KafkaBroker, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", PASSWORD)
    monkeypatch.setenv("WRONG_KAFKA_PASSWORD", "wrong-horse")
    whole = section(secured[1], "PLAIN", {"env": "TEST_KAFKA_PASSWORD"})
    whole["options"] |= wrong
    path = tmp_path / "driftline.yaml"
    path.write_text(str({"cluster": whole}).replace("None", "null"))
    told = run_driftline("topics", "plan", "-c", path)
    assert told.returncode == 3, told.stdout + told.stderr
    (line,) = told.stderr.strip().splitlines()
    assert secured[1] in line
    assert "certificate, password or mechanism in `options` does not fit" in line
    assert PASSWORD not in line
    assert "wrong-horse" not in line
