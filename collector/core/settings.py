"""What every part's configuration is made of: a strict base model, durations, sizes, and secrets by reference."""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr

_DURATION_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_NUMBER_AND_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


class Settings(BaseModel):
    """Base of all configuration: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=False)


def parse_duration(value: Any) -> float:
    """Seconds in a duration such as `5s`, `10m`, `1h30m` or `30d`.

    >>> parse_duration("1h30m"), parse_duration("250ms")
    (5400.0, 0.25)

    Raises:
        ValueError: not a duration; the message says what one looks like.
    """
    return _parse(value, _DURATION_SECONDS, "a duration with a unit, such as 250ms, 5s, 10m, 1h30m, 30d")


def parse_size(value: Any) -> int:
    """Bytes in a size such as `512MiB` or `20GB`.

    >>> parse_size("512MiB")
    536870912

    Raises:
        ValueError: not a size; the message says what one looks like.
    """
    return round(_parse(value, _SIZE_BYTES, "a size with a unit, such as 64KiB, 512MiB, 20GiB"))


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine itself.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("10.0.0.1")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parse(value: Any, units: dict[str, float] | dict[str, int], allowed: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and value == 0:
        return 0.0
    if isinstance(value, str):
        text = value.strip()
        parts = _NUMBER_AND_UNIT.findall(text)
        if parts and _NUMBER_AND_UNIT.sub("", text).strip() == "" and all(unit in units for _, unit in parts):
            return float(sum(float(number) * units[unit] for number, unit in parts))
    raise ValueError(f"{value!r} is not {allowed}")


def _resolve_secret(value: Any) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        ((kind, name),) = value.items()
        if kind == "env":
            if str(name) not in os.environ:
                raise ValueError(f"the environment variable {name} is not set")
            return SecretStr(os.environ[str(name)])
        if kind == "file":
            try:
                return SecretStr(Path(str(name)).read_text(encoding="utf-8").strip())
            except OSError as error:
                raise ValueError(f"the secret file {name} cannot be read: {error.strerror}") from None
    if isinstance(value, SecretStr):
        return value
    raise ValueError("a secret is given as {env: NAME} or {file: PATH}, never as plain text")


Duration = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=str)]
"""Seconds; written with a unit."""

Size = Annotated[int, BeforeValidator(parse_size, json_schema_input_type=str)]
"""Bytes; written with a unit."""

Secret = Annotated[SecretStr, BeforeValidator(_resolve_secret, json_schema_input_type=dict[str, str])]
"""A value kept out of the file, of logs and of messages: `{env: NAME}` or `{file: PATH}`."""
