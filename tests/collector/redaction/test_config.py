"""The section `redact:`: what it refuses, which key is used, and how attributes are listed."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from collector.core.errors import StoreError, UserError
from collector.core.telemetry import Telemetry
from collector.redaction.attributes import AttributeLists
from collector.redaction.config import RedactConfig, build_redactor, find_names
from collector.redaction.keys import key_path, read_key, read_or_make_key


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"actions": {"mail": "mask"}}, "'mail' is not one of the rules email, phone"),
        ({"actions": {"denied": "keep"}}, "'denied' cannot be kept"),
        ({"actions": {"email": "burn"}}, "Input should be 'hash', 'mask', 'drop' or 'keep'"),
        ({"rules": [{"name": "a", "pattern": "x"}] * 2}, "'a' is there twice"),
        ({"at": "never"}, "Input should be 'output' or 'receive'"),
        ({"allow": [""]}, "is not the name of an attribute"),
        ({"key": "plain"}, "never as plain text"),
        ({"key": SecretStr("short")}, "has fewer than 16 characters"),
        ({"rules": [{"name": f"r{at}", "pattern": "x"} for at in range(101)]}, "at most 100"),
    ],
)
def test_what_is_wrong_is_told(document: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        RedactConfig.model_validate(document)
    assert told in str(refused.value)
    assert "short" not in str(refused.value)


def test_an_action_of_a_single_rule_comes_before_the_rules_own_and_that_before_the_common_one() -> None:
    rules = [{"name": "a", "pattern": "x", "action": "drop"}, {"name": "b", "pattern": "y", "action": "drop"}]
    config = RedactConfig.model_validate({"action": "mask", "actions": {"a": "keep", "email": "hash"}, "rules": rules})
    assert [config.action_of(rule) for rule in ("a", "b", "email", "phone")] == ["keep", "drop", "hash", "mask"]


def test_the_key_beside_a_store_is_made_once_and_private(tmp_path: Path) -> None:
    store = tmp_path / "data" / "store.db"
    assert read_key(store) is None
    key = read_or_make_key(store)
    assert len(key) == 64
    assert read_or_make_key(store) == read_key(store) == key
    assert key_path(store).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["store.redact.key"]
    configured = RedactConfig.model_validate({"key": {"file": str(key_path(store))}})
    text = "jo@example.org"
    assert build_redactor(configured, b"").text(text) == build_redactor(RedactConfig(), key).text(text)


@pytest.mark.parametrize(("content", "told"), [(b"short", "has 5 characters"), (b"\xff" * 40, "is not text")])
def test_a_damaged_key_is_not_replaced(tmp_path: Path, content: bytes, told: str) -> None:
    key_path(tmp_path / "store.db").write_bytes(content)
    with pytest.raises(StoreError, match=told):
        read_or_make_key(tmp_path / "store.db")


def test_the_finder_of_names_is_loaded_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def find(text):\n    return [(0, 3)]\nnothing = 1\n")
    redactor = build_redactor(RedactConfig(names="./mine.py:find"), b"k" * 16, tmp_path)
    assert redactor.text("Ann said").startswith("<name:")
    for names, told in (("./mine.py:other", "has no 'other'"), ("./mine.py:nothing", "is a int, not a function")):
        with pytest.raises(UserError, match=told):
            find_names(RedactConfig(names=names), tmp_path)


def test_the_finder_of_names_that_ships_can_be_named(tmp_path: Path) -> None:
    config = RedactConfig(names="collector.redaction.names:find_names", action="mask")
    redactor = build_redactor(config, b"k" * 16, tmp_path)
    assert redactor.text("Dear Mrs. Keller, ask Peter Novak.") == "Dear Mrs. [NAME], ask [NAME]."


def test_every_rule_that_is_on_is_counted_from_zero(tmp_path: Path) -> None:
    telemetry = Telemetry()
    config = RedactConfig.model_validate(
        {"actions": {"phone": "keep"}, "rules": [{"name": "employee", "pattern": r"EMP-\d+"}]}
    )
    redactor = build_redactor(config, b"k" * 16, telemetry=telemetry)
    redactor.text("EMP-12 or jo@example.org or +49 30 901820")
    values = telemetry.counter("driftline_redacted", "", ["type"]).values()
    assert {labels: count for labels, count in values.items() if count} == {("employee",): 1, ("email",): 1}
    assert ("phone",) not in values
    assert ("iban",) in values


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("resource.service.name", "allow"),
        ("resource.service.names", None),
        ("a.b.version", "allow"),
        ("user.password", "deny"),
        ("x.password.version", "deny"),
        ("user(id", "deny"),
        ("x" * 5000 + "password", None),
        ("line\npassword", "deny"),
    ],
)
def test_attribute_lists(name: str, verdict: str | None) -> None:
    lists = AttributeLists(["resource.service.name", "*.version"], ["*password*", "user(id"])
    assert lists.verdict(name) == verdict


def test_of_several_names_the_strictest_decides() -> None:
    lists = AttributeLists(["a"], ["b"])
    assert [lists.of_any(names) for names in (["a", "b"], ["a", "c"], ["c"])] == ["deny", "allow", None]
