"""What every HTTP status, and every way of getting none, means for trying again; over each notifier of HTTP."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest
from pydantic import SecretStr

from alerts.base import REASONS, DeliveryError, Notification, Permanent, Retryable
from alerts.compose import compose
from alerts.explain import Wording
from alerts.http import HttpSettings, retry_after_seconds, verdict
from alerts.notifiers.alertmanager import Alertmanager
from alerts.notifiers.pagerduty import PagerDuty
from alerts.notifiers.slack import Slack
from alerts.notifiers.teams import Teams
from alerts.notifiers.webhook import Webhook
from drift.base import Change
from tests.alerts.told import outcome

NOTIFIERS = [
    Alertmanager,
    Webhook,
    lambda url: Slack(url=SecretStr(url)),
    lambda url: Teams(url=SecretStr(url)),
    lambda url: PagerDuty(url=url, routing_key=SecretStr("k" * 32)),
]

TAKEN = range(200, 300)
RETRIED = {408: "timeout", 425: "timeout", 429: "rate_limited", **dict.fromkeys(range(500, 600), "server_error")}
REFUSED = {
    **dict.fromkeys(range(300, 400), "bad_response"),
    **dict.fromkeys(range(400, 500), "client_error"),
    **dict.fromkeys((401, 403, 407), "auth"),
    **dict.fromkeys((413, 414, 431), "too_large"),
}
ANSWERED_BY_A_SERVER = sorted(
    {200, 202, 204, 301, 307, 308, *range(400, 415), 422, 425, 429, 431, *range(500, 505), 599}
)


def expected(status: int) -> tuple[type[DeliveryError] | None, str]:
    if status in TAKEN:
        return None, ""
    return (Retryable, RETRIED[status]) if status in RETRIED else (Permanent, REFUSED[status])


@pytest.fixture
def notification(make_change: Callable[..., Change]) -> Notification:
    return compose(make_change(), Wording(), 1_772_376_000_000_000_000, "firing")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("status", range(200, 600))
def test_every_status_has_its_verdict(status: int) -> None:
    problem = verdict(status, {})

    assert (type(problem) if problem else None, problem.reason if problem else "") == expected(status)
    assert problem is None or problem.reason in REASONS


@pytest.mark.parametrize("notifier", NOTIFIERS)
def test_every_status_of_a_real_server_leads_to_its_decision(notifier, server, notification: Notification) -> None:
    sender = notifier(url=server.url)
    server.answer = b""

    decided = {}
    for status in ANSWERED_BY_A_SERVER:
        server.status = status
        decided[status] = outcome(lambda: sender.notify([notification]))

    assert decided == {status: expected(status) for status in ANSWERED_BY_A_SERVER}
    assert len(server.requests) == len(ANSWERED_BY_A_SERVER)  # nothing was tried twice, no redirect followed


@pytest.mark.parametrize("notifier", NOTIFIERS)
def test_no_answer_in_the_world_gives_a_secret_away(notifier, server, notification: Notification) -> None:
    """A server that answers with all that it was sent."""
    sender = notifier(url=f"{server.url}/s3cr3t-path/T0K3NT0K3N")
    server.status, server.answer = 400, b"/s3cr3t-path/T0K3NT0K3N and T0K3NT0K3N and " + b"k" * 32
    with pytest.raises(Permanent) as caught:
        sender.notify([notification])

    if isinstance(sender, Slack | Teams):
        assert "T0K3N" not in str(caught.value) and "s3cr3t" not in str(caught.value)
    if isinstance(sender, PagerDuty):
        assert "kkkk" not in str(caught.value)
    assert "answered 400: " in str(caught.value)


@pytest.mark.parametrize("notifier", NOTIFIERS)
def test_a_redirect_to_another_host_is_not_followed(notifier, server, other_server, notification: Notification) -> None:
    server.status, server.headers = 307, {"Location": f"{other_server.url}/steal"}

    with pytest.raises(Permanent, match="configure the final address"):
        notifier(url=server.url).notify([notification])
    assert (len(server.requests), other_server.requests) == (1, [])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "-7"}, 0),
        ({"retry-after": "1e999"}, 0),
        ({"retry-after": "nan"}, 0),
        ({"retry-after": "999999999"}, 3600),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "Sun, 01 Mar 2026 14:00:30 GMT", "date": "Sun, 01 Mar 2026 14:00:00 GMT"}, 30),
        ({"retry-after": "Sun, 01 Mar 2026 14:00:30 GMT"}, 0),
        ({"retry-after": "Sun, 01 Mar 2026 13:00:30 GMT", "date": "Sun, 01 Mar 2026 14:00:00 GMT"}, 0),
    ],
)
def test_retry_after_is_read_and_bounded(headers: dict[str, str], seconds: float) -> None:
    assert retry_after_seconds(headers) == seconds


def test_retry_after_reaches_the_deliverer(server, notification: Notification) -> None:
    server.status, server.headers = 503, {"Retry-After": "17"}

    with pytest.raises(Retryable) as caught:
        Webhook(url=server.url).notify([notification])
    assert caught.value.retry_after_seconds == 17


def test_an_answer_is_read_only_so_far_and_shown_as_one_line(server, notification: Notification) -> None:
    server.status, server.answer = 400, b"bad\nlabel \x1b[31m\xff " + b"x" * 10_000_000

    with pytest.raises(Permanent) as caught:
        Webhook(url=server.url).notify([notification])
    assert str(caught.value).startswith("answered 400: bad label [31m� xxx")
    assert len(str(caught.value)) < 250


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def port_of(sock: socket.socket) -> int:
    return sock.getsockname()[1]


def answer_once(sock: socket.socket, answer: bytes) -> threading.Thread:
    def serve() -> None:
        connection, _ = sock.accept()
        with connection, suppress(ConnectionError):
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_no_answer_in_time_is_a_timeout(listener: socket.socket, notification: Notification) -> None:
    sender = Webhook(url=f"http://127.0.0.1:{port_of(listener)}", timeout="50ms")

    assert outcome(lambda: sender.notify([notification])) == (Retryable, "timeout")


def test_a_refused_connection_is_tried_again(notification: Notification) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = port_of(sock)

    assert outcome(lambda: Webhook(url=f"http://127.0.0.1:{port}").notify([notification])) == (Retryable, "connection")


@pytest.mark.parametrize(("answer", "reason"), [(b"SSH-2.0-OpenSSH_9\r\n", "bad_response"), (b"", "bad_response")])
def test_what_is_no_http_answer_is_a_bad_response(
    answer: bytes, reason: str, listener: socket.socket, notification: Notification
) -> None:
    thread = answer_once(listener, answer)
    sender = Webhook(url=f"http://127.0.0.1:{port_of(listener)}")

    assert outcome(lambda: sender.notify([notification])) == (Retryable, reason)
    thread.join()


def test_no_tls_at_the_other_end_is_a_tls_problem(listener: socket.socket, notification: Notification) -> None:
    thread = answer_once(listener, b"HTTP/1.1 400 Bad Request\r\n\r\n")
    sender = Webhook(url=f"https://127.0.0.1:{port_of(listener)}")

    assert outcome(lambda: sender.notify([notification])) == (Retryable, "tls")
    thread.join()


def test_a_name_without_address_is_a_dns_problem(monkeypatch: pytest.MonkeyPatch, notification: Notification) -> None:
    def nothing(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)

    assert outcome(lambda: Webhook(url="http://nowhere.invalid/").notify([notification])) == (Retryable, "dns")


def test_an_unreadable_ca_file_does_not_escape_as_a_stray_exception(tmp_path, notification: Notification) -> None:
    missing = Webhook(url="https://127.0.0.1:1", ca_file=tmp_path / "missing.pem")
    (tmp_path / "bad.pem").write_text("no certificate")
    bad = Webhook(url="https://127.0.0.1:1", ca_file=tmp_path / "bad.pem")

    assert outcome(lambda: missing.notify([notification]))[0] is Retryable
    assert outcome(lambda: bad.notify([notification])) == (Retryable, "tls")


@pytest.mark.parametrize("url", ["", "ftp://x/", "x", "http://", "http:///path", "https://[::1", "http://a:99999999/"])
def test_an_address_must_be_one_of_http(url: str) -> None:
    with pytest.raises(ValueError, match="is not an http:// or https:// address"):
        HttpSettings(url=url)


def test_a_secret_address_and_secret_headers_are_sent_but_never_shown(
    monkeypatch: pytest.MonkeyPatch, server, notification: Notification
) -> None:
    monkeypatch.setenv("HOOK", f"{server.url}/T0K3N")
    monkeypatch.setenv("AUTH", "Bearer s3cret")
    sender = Webhook(url={"env": "HOOK"}, headers={"Authorization": {"env": "AUTH"}})
    sender.notify([notification])

    method, path, headers, _ = server.requests[0]
    assert (method, path, headers["Authorization"]) == ("POST", "/T0K3N", "Bearer s3cret")
    assert "T0K3N" not in repr(sender)
    assert "s3cret" not in repr(sender)

    monkeypatch.setenv("HOOK", "gopher://T0K3N")
    with pytest.raises(ValueError) as caught:
        Webhook(url={"env": "HOOK"})
    assert "T0K3N" not in str(caught.value)


@pytest.mark.parametrize("value", ["é", "a\nb", "\ud800"])
def test_a_header_that_cannot_be_sent_is_refused_for_good(
    value: str, tmp_path, server, notification: Notification
) -> None:
    (tmp_path / "header").write_bytes(value.encode("utf-8", "surrogatepass"))
    try:
        sender = Webhook(url=server.url, headers={"X-Key": {"file": str(tmp_path / "header")}})
    except ValueError:
        return  # refused even earlier
    assert outcome(lambda: sender.notify([notification])) == (Permanent, "client_error")


def test_the_client_library_is_not_left_to_decide() -> None:
    """The classes that the verdict rests on exist with the meaning they are given here."""
    assert issubclass(httpx.ConnectTimeout, httpx.TimeoutException)
    assert issubclass(ssl.CertificateError, ssl.SSLError)
