"""A cluster that is reached over TLS, by those who know the password."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
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
