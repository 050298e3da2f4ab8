"""Alerts arrive at the demo's receiver, and nothing else does."""

from collections.abc import Iterator
from http.client import HTTPConnection

import httpx
import pytest

from driftline.demo.receiver import AlertReceiver


@pytest.fixture
def receiver() -> Iterator[AlertReceiver]:
    receiver = AlertReceiver()
    yield receiver
    receiver.close()


def test_what_is_posted_is_kept_in_order(receiver: AlertReceiver) -> None:
    with httpx.Client() as client:
        for number in range(3):
            assert client.post(receiver.url, json={"number": number}).status_code == 200
    assert receiver.wait(3, timeout_seconds=5)
    assert receiver.bodies == [{"number": 0}, {"number": 1}, {"number": 2}]


def test_waiting_ends_when_nothing_comes(receiver: AlertReceiver) -> None:
    assert not receiver.wait(1, timeout_seconds=0.01)


@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b"\xff\xfe"])
def test_what_is_no_json_object_is_refused(receiver: AlertReceiver, body: bytes) -> None:
    assert httpx.post(receiver.url, content=body).status_code == 400
    assert receiver.bodies == []


def test_a_body_that_is_too_large_is_refused_unread(receiver: AlertReceiver) -> None:
    connection = HTTPConnection(receiver.url.split("/")[2], timeout=5)
    connection.putrequest("POST", "/alerts")
    connection.putheader("Content-Length", "2000000")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_closing_twice_is_harmless_and_frees_the_port(receiver: AlertReceiver) -> None:
    receiver.close()
    receiver.close()
    with pytest.raises(httpx.ConnectError):
        httpx.post(receiver.url, json={})
