"""Tokens that rotate, and whose data a request is."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from collector.core.errors import Rejected
from collector.core.telemetry import Telemetry
from collector.receivers import tokens
from collector.receivers.listen import ReceiveConfig, access_of
from collector.receivers.senders import Senders
from collector.receivers.tenant_counters import TenantCounters
from tests.collector.receivers.conftest import Ticking


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Ticking:
    ticking = Ticking()
    monkeypatch.setattr(tokens, "time", ticking)
    return ticking


def made(**listen: Any) -> Senders:
    config = ReceiveConfig(**listen)
    return Senders("otlp_http", access_of(config, Telemetry()), config.tenants)


def token(name: str, **source: Any) -> dict[str, Any]:
    return {"name": name, "role": "ingest", **source}


def reason(of: Senders, authorization: bytes = b"", named: bytes = b"") -> str:
    with pytest.raises(Rejected) as raised:
        of.admit(authorization, named)
    return raised.value.reason


def test_any_of_several_tokens_lets_in_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST_TOKEN", "one")
    (tmp_path / "tokens").write_text("two\n\n  three \n")
    both = made(
        tokens=[token("first", env="FIRST_TOKEN"), token("others", file=str(tmp_path / "tokens"))], wrong_tokens=None
    )
    for sent in (b"one", b"two", b"three"):
        assert both.admit(b"Bearer " + sent, b"") == ""
        assert both.admit(b"bearer   " + sent + b" ", b"") == ""
    for sent in (b"", b"one", b"Bearer", b"Bearer ", b"Basic one", b"Bearer four", b"Bearer one two", b"Bearer \xff"):
        assert reason(both, sent) == "unauthorized"


def test_a_file_of_tokens_is_read_again_when_it_changes(
    tmp_path: Path, clock: Ticking, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "tokens"
    file.write_text("old")
    door = made(tokens=[token("app", file=str(file))])
    file.write_text("old\nnew")
    assert reason(door, b"Bearer new") == "unauthorized"  # it looks once a second
    clock.now += 1
    assert door.admit(b"Bearer new", b"") == door.admit(b"Bearer old", b"") == ""
    (tmp_path / "next").write_text("new")
    (tmp_path / "next").replace(file)
    clock.now += 1
    assert reason(door, b"Bearer old") == "unauthorized"
    assert door.admit(b"Bearer new", b"") == ""
    assert "new" not in caplog.text.replace(str(tmp_path), "")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_a_file_that_is_gone_empty_or_damaged_leaves_the_tokens_as_they_are(
    tmp_path: Path, clock: Ticking, content: bytes | None
) -> None:
    file = tmp_path / "tokens"
    file.write_text("old")
    door = made(tokens=[token("app", file=str(file))])
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    clock.now += 1
    assert door.admit(b"Bearer old", b"") == ""
    file.write_text("a new one")
    clock.now += 1
    assert reason(door, b"Bearer old") == "unauthorized"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({}, "say either env: VARIABLE or file: PATH"),
        ({"env": "A", "file": "b"}, "say either env: VARIABLE or file: PATH"),
        ({"env": "SURELY_NOT_SET"}, "SURELY_NOT_SET is not set"),
        ({"file": "/nonexistent"}, "cannot be read: No such file"),
        ({"file": "/dev/null"}, "/dev/null is empty"),
        ({"env": "HALF_A_HASH"}, "must go on with 64 hexadecimal digits"),
    ],
)
def test_a_source_without_a_token_is_told_at_once(source: Any, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALF_A_HASH", "sha256:abc")
    with pytest.raises(ValidationError, match=told):
        ReceiveConfig(tokens=[{"name": "app", "role": "ingest", **source}])


# --- tenants ---


def test_without_tenants_the_header_means_nothing() -> None:
    assert made().admit(b"", b"acme") == ""


def test_a_header_names_the_tenant() -> None:
    assert made(tenants={}).admit(b"", b" acme-1 ") == "acme-1"
    assert made(tenants={"header": "X-Tenant"}).header == b"x-tenant"


@pytest.mark.parametrize("named", [b"a|b", b"a, b", b"a/b", b"a b", "ü".encode(), b"x" * 151, b"a\x00"])
def test_what_is_no_name_is_refused(named: bytes) -> None:
    assert reason(made(tenants={}), named=named) == "bad_tenant"


def test_who_names_no_tenant_is_the_default_or_refused() -> None:
    assert reason(made(tenants={})) == "no_tenant"
    assert made(tenants={"default": "shared"}).admit(b"", b"") == "shared"


def test_only_those_allowed_are_tenants() -> None:
    some = made(tenants={"allow": ["acme"], "default": "shared"})
    assert some.admit(b"", b"acme") == "acme"
    assert some.admit(b"", b"shared") == "shared"
    assert reason(some, named=b"globex") == "forbidden_tenant"


def test_a_token_that_is_bound_to_a_tenant_is_of_no_use_for_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ACME_TOKEN", "a")
    monkeypatch.setenv("GLOBEX_TOKEN", "g")
    monkeypatch.setenv("PROXY_TOKEN", "p")
    bound = [token("a", env="ACME_TOKEN", tenant="acme"), token("g", env="GLOBEX_TOKEN", tenant="globex")]
    door = made(tokens=bound, tenants={})
    assert door.admit(b"Bearer a", b"") == door.admit(b"Bearer a", b"acme") == "acme"
    assert door.admit(b"Bearer g", b"") == "globex"
    assert reason(door, b"Bearer a", b"globex") == "forbidden_tenant"
    assert reason(door, b"Bearer p", b"acme") == reason(door, b"", b"acme") == "unauthorized"
    with_proxy = made(tokens=[token("proxy", env="PROXY_TOKEN"), *bound], tenants={})
    assert with_proxy.admit(b"Bearer p", b"initech") == "initech"  # whom the general token is given is trusted


@pytest.mark.parametrize("tenants", [{"allow": ["a b"]}, {"default": ""}])
def test_a_name_in_the_configuration_must_be_one(tenants: Any) -> None:
    with pytest.raises(ValidationError, match="no name of a tenant"):
        ReceiveConfig(tenants=tenants)
    with pytest.raises(ValidationError, match="no name of a tenant"):
        ReceiveConfig(tokens=[token("app", env="HOME", tenant="a/b")])


def test_tenants_that_tokens_are_bound_to_have_metrics_before_any_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_TOKEN", "a")
    tenants = {"max_labels": 2, "allow": ["globex"]}
    config = ReceiveConfig(tokens=[token("a", env="ACME_TOKEN", tenant="acme")], tenants=tenants)
    assert config.counted_tenants is not None
    assert config.counted_tenants.names() == ["acme", "globex"]
    telemetry = Telemetry()
    counters = TenantCounters(telemetry, config.counted_tenants)
    for tenant in ("stranger", "acme", "globex"):
        counters.stored(tenant, 1, 1)
    counted = telemetry.counter("driftline_tenant_received_items", "", ["tenant"], fold=["tenant"]).values()
    assert counted == {("other",): 1, ("acme",): 1, ("globex",): 1}


def test_so_many_tokens_that_comparing_them_takes_long_are_refused(
    tmp_path: Path, clock: Ticking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tokens, "MOST_TOKENS", 5)
    few, many, other = tmp_path / "few", tmp_path / "many", tmp_path / "other"
    few.write_text("a\nb\nc\n")
    other.write_text("x\ny\nz\n")
    many.write_text("\n".join("abcdef"))
    with pytest.raises(ValidationError, match="6 tokens are too many; allowed: 5"):
        made(tokens=[token("app", file=str(many))])
    with pytest.raises(ValidationError, match="more than 5 tokens in all"):
        made(tokens=[token("app", file=str(few)), token("other", file=str(other))])
    of = made(tokens=[token("app", file=str(few))])
    few.write_text(many.read_text())
    clock.now += 10
    assert of.admit(b"Bearer a", b"") == ""
    assert reason(of, b"Bearer f") == "unauthorized", "the old ones stay in force"
    assert "cannot be read, its tokens stay as they are" in caplog.text
