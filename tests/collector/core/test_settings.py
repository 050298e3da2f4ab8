"""Durations, sizes and secrets: what is understood, what is refused in which words, and what is never printed."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

from collector.core.settings import Duration, Secret, Settings, Size, parse_duration, parse_size

WRONG: list[Any] = [
    None,
    True,
    5,
    0.5,
    "5",
    "",
    " ",
    "s",
    "-5s",
    "+5s",
    "5 s s",
    "5x",
    "1e3s",
    "5s!",
    "1,5s",
    [],
    {},
    b"5s",
]


class Example(Settings):
    wait: Duration = 5.0
    room: Size = 1024
    token: Secret | None = None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("10m", 600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        (" 30 d ", 30 * 86400),
        ("2w", 14 * 86400),
        ("0s", 0),
        (0, 0),
        (0.0, 0),
    ],
)
def test_a_duration_is_seconds(text: Any, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("64KiB", 65536), ("512MiB", 2**29), ("1.5GiB", 3 * 2**29), ("20GB", 20 * 10**9), ("7B", 7), (0, 0)],
)
def test_a_size_is_bytes(text: Any, size: int) -> None:
    assert parse_size(text) == size
    assert isinstance(parse_size(text), int)


@pytest.mark.parametrize("value", [*WRONG, "5KiB"])
def test_what_is_no_duration_is_refused_with_what_one_looks_like(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a duration with a unit, such as 250ms, 5s, 10m, 1h30m, 30d"):
        parse_duration(value)


@pytest.mark.parametrize("value", [*WRONG, "5m", "5kb", "5gib"])
def test_what_is_no_size_is_refused_with_what_one_looks_like(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a size with a unit, such as 64KiB, 512MiB, 20GiB"):
        parse_size(value)


def test_unknown_keys_are_refused_and_values_stay_as_they_are() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Example.model_validate({"wiat": "5s"})
    example = Example.model_validate({"wait": "1m"})
    with pytest.raises(ValidationError, match="frozen"):
        example.wait = 3  # type: ignore[misc]


def test_a_secret_is_read_from_the_environment_and_may_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_TEST_SECRET", "hunter2")
    example = Example.model_validate({"token": {"env": "DRIFTLINE_TEST_SECRET"}})
    assert example.token is not None
    assert example.token.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(example) + str(example) + str(example.model_dump()) + example.model_dump_json()
    monkeypatch.setenv("DRIFTLINE_TEST_SECRET", "")
    assert Example.model_validate({"token": {"env": "DRIFTLINE_TEST_SECRET"}}).token == SecretStr("")


def test_a_secret_is_read_from_a_file_without_the_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("  hunter2\n\n")
    example = Example.model_validate({"token": {"file": str(tmp_path / "token")}})
    assert example.token == SecretStr("hunter2")
    assert Example.model_validate({"token": example.token}).token == example.token


@pytest.mark.parametrize(
    "value", ["hunter2", "", 7, ["hunter2"], {"plain": "hunter2"}, {}, {"env": "A", "file": "b"}, b"hunter2"]
)
def test_a_secret_in_plain_text_is_refused_and_its_message_does_not_hold_it(value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        Example.model_validate({"token": value})
    (problem,) = refused.value.errors()
    assert problem["msg"] == "Value error, a secret is given as {env: NAME} or {file: PATH}, never as plain text"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"env": "DRIFTLINE_TEST_NOT_SET"}, "the environment variable DRIFTLINE_TEST_NOT_SET is not set"),
        ({"file": "/nonexistent"}, "the secret file /nonexistent cannot be read: No such file or directory"),
        ({"file": "/"}, "the secret file / cannot be read: Is a directory"),
    ],
)
def test_a_secret_that_is_not_there_says_where_it_was_looked_for(value: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Example.model_validate({"token": value})


def test_a_file_that_is_not_text_is_refused_as_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValidationError):
        Example.model_validate({"token": {"file": str(tmp_path / "token")}})


def test_the_schema_for_editors_says_how_values_are_written() -> None:
    for kind, written in ((Duration, "string"), (Size, "string"), (Secret, "object")):
        assert TypeAdapter(kind).json_schema()["type"] == written
