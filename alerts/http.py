"""One POST of JSON, and what each way to fail means for trying again. What all notifiers that speak HTTP share."""

import logging
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from math import isfinite
from pathlib import Path
from typing import Annotated

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, TypeAdapter

from alerts.base import DeliveryError, Permanent, Reason, Retryable
from collector.core.settings import Duration, Secret, Settings

NAME = r"^[A-Za-z0-9_.-]{1,64}$"
"""What a notifier may be called: fit for a metric label and a line of the log."""

logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells the address of each request, which may be a secret

_ANSWER_BYTES = 2048  # enough of an error answer to tell a person; the rest is never read
_SHORTEST_SECRET = 5  # what is shorter keeps no secret, and is found in half of all texts
_LONGEST_WAIT_SECONDS = 3600.0  # a Retry-After beyond this would outlast the alert


def check_address(value: str | SecretStr) -> str | SecretStr:
    """Refuses what is no http(s) address, without repeating one that is secret."""
    shown = "the address" if isinstance(value, SecretStr) else repr(value)
    try:
        url = httpx.URL(reveal(value))
    except (httpx.InvalidURL, UnicodeError):
        raise ValueError(f"{shown} is not an http:// or https:// address") from None
    if url.scheme not in ("http", "https") or not url.host or not 0 < (url.port or 80) < 2**16:
        raise ValueError(f"{shown} is not an http:// or https:// address")
    return value


def reveal(value: str | SecretStr) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


_SECRET: TypeAdapter[SecretStr] = TypeAdapter(Secret)


def _text_or_secret(value: object) -> object:
    return value if isinstance(value, str) else _SECRET.validate_python(value)


Address = Annotated[
    str | SecretStr,
    BeforeValidator(_text_or_secret, json_schema_input_type=str | dict[str, str]),
    AfterValidator(check_address),
]
"""An http(s) address; `{env: NAME}` or `{file: PATH}` where it holds a token of its own."""

SecretAddress = Annotated[Secret, AfterValidator(check_address)]
"""An http(s) address that is itself the credential: whoever has it may post."""


class HttpSettings(Settings):
    """How to reach the other side."""

    url: Address = Field(description="where to post; as {env: NAME} or {file: PATH} if it holds a token")
    timeout: Annotated[Duration, Field(gt=0, description="for connecting, and for each wait for data")] = 10.0
    headers: Mapping[str, Secret] = Field(default_factory=dict, description="sent along, such as Authorization")
    ca_file: Path | None = Field(None, description="certificates to trust instead of the usual ones")


def post(
    settings: HttpSettings, path: str, body: bytes, headers: Mapping[str, str], secrets: Sequence[str] = ()
) -> None:
    """Send `body` once; returns if the answer says it was taken. Redirects are not followed.

    Args:
        secrets: of the body, besides those of the settings: an answer that repeats one is told without it.

    Raises:
        Retryable, Permanent: see `verdict` for answers and `_failure` for the absence of one.
    """
    address = reveal(settings.url).rstrip("/") + path if path else reveal(settings.url)
    own = {name: value.get_secret_value() for name, value in settings.headers.items()}
    every = {"Content-Type": "application/json", "User-Agent": "driftline", **headers, **own}
    try:
        with (
            httpx.Client(verify=_trust(settings), timeout=settings.timeout, follow_redirects=False) as client,
            client.stream("POST", address, content=body, headers=every) as response,
        ):
            answer = conceal(_read(response, settings.timeout), [*_secrets(settings), *secrets])
            problem = verdict(response.status_code, response.headers, answer)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        raise _failure(error) from error
    if problem is not None:
        raise problem


def verdict(status: int, headers: Mapping[str, str], answer: str = "") -> DeliveryError | None:
    """What an answer means: None if taken.

    Try again: 408 and 425, 429 (after its Retry-After), and every 5xx, as Alertmanager does. Never: a redirect, which
    belongs in the configuration, and every other 4xx.

    >>> verdict(200, {}) is None, type(verdict(503, {})).__name__, verdict(401, {}).reason
    (True, 'Retryable', 'auth')
    """
    if 200 <= status < 300:
        return None
    message = f"answered {status}" + (f": {answer}" if answer else "")
    wait = retry_after_seconds(headers)
    if status == 429:
        return Retryable("rate_limited", message, wait, status)
    if status in (408, 425):
        return Retryable("timeout", message, wait, status)
    if 500 <= status < 600:
        return Retryable("server_error", message, wait, status)
    if 300 <= status < 400:
        return Permanent("bad_response", f"{message}: redirects are not followed; configure the final address")
    if not 400 <= status < 500:
        return Retryable("bad_response", message, status=status)
    reason: Reason = (
        "auth" if status in (401, 403, 407) else "too_large" if status in (413, 414, 431) else "client_error"
    )
    return Permanent(reason, message)


def retry_after_seconds(headers: Mapping[str, str]) -> float:
    """The Retry-After of an answer (RFC 9110 section 10.2.3), at most an hour; 0 if there is none that makes sense.

    A date is taken relative to the answer's own Date, so that the two machines' clocks need not agree.
    """
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            until, now = parsedate_to_datetime(text), parsedate_to_datetime(headers.get("date", ""))
            seconds = (until - now).total_seconds()
        except (TypeError, ValueError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS) if isfinite(seconds) else 0.0


def conceal(text: str, secrets: Iterable[str]) -> str:
    """The text without what is secret, should the other side have repeated it.

    >>> conceal("no such key: 4f2a77", ["4f2a77"])
    'no such key: ***'
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text


def _secrets(settings: HttpSettings) -> Iterator[str]:
    yield from (value.get_secret_value() for value in settings.headers.values())
    if isinstance(settings.url, SecretStr):
        url = httpx.URL(settings.url.get_secret_value())
        yield from (
            str(url),
            url.raw_path.decode("ascii", "replace"),
            url.path,
            *url.path.split("/"),
            *url.params.values(),
        )


def _trust(settings: HttpSettings) -> ssl.SSLContext | bool:
    return True if settings.ca_file is None else ssl.create_default_context(cafile=str(settings.ca_file))


def _read(response: httpx.Response, timeout_seconds: float) -> str:
    """The beginning of the answer, as one line of text; as sent, since unpacking it could take any amount of memory."""
    until = time.monotonic() + timeout_seconds
    answer = b""
    for chunk in response.iter_raw(_ANSWER_BYTES):
        answer += chunk
        if len(answer) >= _ANSWER_BYTES or time.monotonic() > until:
            break
    text = answer[:_ANSWER_BYTES].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def _failure(error: BaseException) -> DeliveryError:
    """What the lack of an answer means. The message names the kind of failure only: addresses may hold tokens."""
    if isinstance(error, httpx.TimeoutException):
        return Retryable("timeout", f"no answer in time ({type(error).__name__})")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError | UnicodeError):
        return Permanent("client_error", f"the request cannot be sent: {type(error).__name__}")
    every = list(causes(error))
    if any(isinstance(cause, ssl.SSLError) for cause in every):
        return Retryable("tls", f"no secure connection: {every[-1]}")
    if any(isinstance(cause, socket.gaierror) for cause in every):
        return Retryable("dns", f"the host name has no address: {every[-1]}")
    if isinstance(error, httpx.RemoteProtocolError):
        return Retryable("bad_response", f"not an HTTP answer: {error}")
    return Retryable("connection", f"no connection: {every[-1]}")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from, back to the first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
