"""Letters over real sockets: what arrives, that a change is one thread, that nothing is said in the clear."""

import logging
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from email.headerregistry import Address
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from alerts.base import Notification, Permanent, Retryable
from alerts.letter import letter
from alerts.notifiers import email as mail
from alerts.notifiers.email import Email, parse_address
from tests.alerts.smtp import CERTIFICATE, HANG, Mail, MailServer, mail_server
from tests.alerts.told import HERE, any_notification, examples, hostile, outcome

FROM, TO = "Driftline <driftline@example.com>", ["oncall@example.com", "ML team <ml@example.com>"]
PASSWORD = "pa55w0rd"
OUR_TAGS = {"html", "head", "meta", "body", "h2", "p", "b", "table", "tr", "td", "a", "small", "br"}
OUR_HEADERS = (
    *("from", "to", "subject", "date", "message-id", "references", "in-reply-to", "auto-submitted", "mime-version"),
    "content-type",
)


@pytest.fixture
def post_office() -> Iterator[MailServer]:
    with mail_server(MailServer()) as state:
        yield state


def sender(to: MailServer, **options: object) -> Email:
    usual = {
        "host": "localhost",
        "port": to.port,
        "sender": FROM,
        "to": TO,
        "ca_file": CERTIFICATE,
        "username": "driftline",
        "password": SecretStr(PASSWORD),
    }
    return Email(**{**usual, **options})


# --- what arrives ---


def test_the_letters_of_a_change_arrive_encrypted_after_logging_in(post_office: MailServer) -> None:
    for notification in examples():
        sender(post_office).notify([notification])

    assert len(post_office.mails) == 3
    for one in post_office.mails:
        assert (one.encrypted, one.user, one.sender) == (True, "driftline", "<driftline@example.com>")
        assert one.to == ["<oncall@example.com>", "<ml@example.com>"]
        assert one.message["To"] == "oncall@example.com, ML team <ml@example.com>"
        assert max(map(len, one.data.split(b"\r\n"))) <= 998  # RFC 5322 section 2.1.1
        assert one.data.isascii()
    assert post_office.commands.count("QUIT") == 3


@pytest.mark.parametrize("number", range(3))
def test_a_letter_says_what_the_golden_one_does(number: int, post_office: MailServer) -> None:
    sender(post_office).notify([examples()[number]])
    got = post_office.mails[0].message
    plain, html = (got.get_body((kind,)).get_content() for kind in ("plain", "html"))
    headers = "".join(f"{name}: {value}\n" for name, value in got.items() if not name.startswith("Content-"))

    assert got.get_content_type() == "multipart/alternative"
    assert f"{headers}\n{plain}\n{html}".replace("\r\n", "\n") == (HERE / "golden" / f"email_{number}.txt").read_text()


def test_all_letters_of_a_change_are_one_thread_and_no_two_have_one_id(post_office: MailServer) -> None:
    for notification in examples():
        sender(post_office).notify([notification])
    letters = [one.message for one in post_office.mails]

    assert {one["References"] for one in letters} == {"<driftline-7f3a9c51@example.com>"}
    assert [one["In-Reply-To"] for one in letters] == [None, *["<driftline-7f3a9c51@example.com>"] * 2]
    assert len({one["Message-ID"] for one in letters}) == 3
    assert len({one["Subject"] for one in letters}) == 1
    assert all(one["Auto-Submitted"] == "auto-generated" for one in letters)


def test_a_letter_that_is_sent_again_has_the_same_id() -> None:
    first, again = (letter(examples()[0], Address(addr_spec="a@b.c"), [Address(addr_spec="d@e.f")]) for _ in range(2))
    assert first["Message-ID"] == again["Message-ID"]


def test_an_id_that_is_longer_than_a_line_is_still_one_id() -> None:
    domain = ".".join(["long" * 10] * 4) + ".example"
    made = letter(examples()[1], Address(addr_spec=f"a@{domain}"), [Address(addr_spec="d@e.f")])
    sent = Mail("", [], bytes(made), False, None).message

    assert b"=?" not in bytes(made).partition(b"\r\n\r\n")[0]
    for name in ("References", "In-Reply-To"):
        assert sent[name].strip() == f"<driftline-7f3a9c51@{domain}>"
    assert sent["Message-ID"].strip().endswith(f"@{domain}>")


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def check_letter(notification: Notification) -> None:
    made = letter(notification, parse_address(FROM), [parse_address(one) for one in TO])
    sent = Mail("", [], bytes(made), False, None).message

    assert {name.lower() for name in sent} == set(OUR_HEADERS) - (set() if "In-Reply-To" in made else {"in-reply-to"})
    assert len(sent) == len(set(sent))
    assert sent["To"] == made["To"] and sent["From"] == FROM
    for name in ("Message-ID", "References"):
        assert re.fullmatch(r"<driftline-[A-Za-z0-9._-]+@example\.com>", sent[name].strip())
    tags = Tags(sent.get_body(("html",)).get_content()).found
    assert {tag for tag, _ in tags} <= OUR_TAGS
    assert all(attributes["href"].startswith(("http://", "https://")) for tag, attributes in tags if tag == "a")
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)


@given(any_notification())
@settings(max_examples=100, deadline=None)
def test_no_header_and_no_element_comes_from_what_slices_say(notification: Notification) -> None:
    check_letter(notification)


@pytest.mark.parametrize(
    "text",
    [
        "x\r\nBcc: thief@evil.example",
        "x\nBcc: t@e",
        "x\r\n\r\n<h1>body</h1>",
        "\u2028Bcc: t@e",
        "=?utf-8?q?=0ABcc:_t?=",
    ],
)
def test_header_injection_is_impossible(text: str) -> None:
    (example, *_) = examples()
    labels = dict.fromkeys(("service", "metric", "direction", "monitor", "test"), text)
    annotations = dict.fromkeys((*example.annotations, "rate_limit"), text)
    check_letter(replace(example, labels=labels, annotations=annotations, fingerprint=text))


def test_what_slices_say_is_shown_as_it_is() -> None:
    made = letter(hostile(), parse_address(FROM), [parse_address(TO[0])])
    html = made.get_body(("html",)).get_content()

    assert "&lt;script&gt;" in html
    check_letter(hostile())


# --- security ---


@pytest.mark.parametrize("way", ["PLAIN", "LOGIN"])
def test_either_way_to_log_in_works(way: str, post_office: MailServer) -> None:
    post_office.extensions = ["STARTTLS", f"AUTH CRAM-MD5 {way}"]
    sender(post_office).notify(examples()[:1])
    assert post_office.mails[0].user == "driftline"


def test_tls_from_the_first_byte() -> None:
    with mail_server(MailServer(tls_from_the_start=True)) as office:
        sender(office, security="tls").notify(examples()[:1])
        assert office.mails[0].encrypted


def test_a_server_without_starttls_gets_neither_letter_nor_password(post_office: MailServer) -> None:
    post_office.extensions = ["AUTH PLAIN LOGIN"]

    with pytest.raises(Permanent, match="does not offer STARTTLS") as caught:
        sender(post_office).notify(examples()[:1])
    assert caught.value.reason == "tls"
    assert not {"AUTH", "MAIL", "DATA"} & set(post_office.commands)


def test_a_certificate_that_nobody_vouches_for_ends_it(post_office: MailServer) -> None:
    assert outcome(lambda: sender(post_office, ca_file=None).notify(examples()[:1])) == (Retryable, "tls")
    assert "AUTH" not in post_office.commands


def test_a_certificate_of_another_host_ends_it(post_office: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **options: resolve("127.0.0.1", *more, **options))

    assert outcome(lambda: sender(post_office, host="mail.evil.example").notify(examples()[:1])) == (Retryable, "tls")
    assert "AUTH" not in post_office.commands


def test_plain_text_only_to_this_machine_or_if_insecure_says_so(post_office: MailServer) -> None:
    plain = {"host": "127.0.0.1", "port": post_office.port, "security": "none", "sender": FROM, "to": TO}
    Email(**plain).notify(examples()[:1])
    assert not post_office.mails[0].encrypted

    with pytest.raises(ValidationError, match=r"security is none and host is 'mail.example.com'.*insecure: true"):
        Email(**{**plain, "host": "mail.example.com"})
    assert Email(**{**plain, "host": "mail.example.com", "insecure": True}).host == "mail.example.com"


def test_a_wrong_password_is_an_auth_problem_and_is_never_shown(post_office: MailServer) -> None:
    wrong = sender(post_office, password=SecretStr("wr0ngpa55"))

    with pytest.raises(Permanent) as caught:
        wrong.notify(examples()[:1])
    assert caught.value.reason == "auth"
    assert str(caught.value) == "answered 535: 5.7.8 no, not ***"
    assert "wr0ngpa55" not in repr(wrong) + str(wrong) + wrong.model_dump_json()
    assert post_office.commands.count("AUTH") == 1  # no second try that would lock the account


def test_a_server_that_knows_no_way_to_log_in_is_an_auth_problem(post_office: MailServer) -> None:
    post_office.extensions = ["STARTTLS"]
    assert outcome(lambda: sender(post_office).notify(examples()[:1])) == (Permanent, "auth")


# --- failures ---


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"": "421 busy"}, (Retryable, "server_error")),
        ({"": "554 go away"}, (Permanent, "client_error")),
        ({"": "SSH-2.0"}, (Retryable, "bad_response")),
        ({"": ""}, (Retryable, "connection")),
        ({"": HANG}, (Retryable, "timeout")),
        ({"EHLO": "502 what", "HELO": "502 what"}, (Permanent, "client_error")),
        ({"STARTTLS": "454 not now"}, (Retryable, "server_error")),
        ({"STARTTLS": "501 no"}, (Permanent, "client_error")),
        ({"AUTH": "454 4.7.0 temporary"}, (Retryable, "auth")),
        ({"AUTH": "534 too weak"}, (Permanent, "auth")),
        ({"MAIL": "451 later"}, (Retryable, "server_error")),
        ({"MAIL": "421 closing"}, (Retryable, "server_error")),
        ({"MAIL": "530 log in first"}, (Permanent, "auth")),
        ({"MAIL": "552 too large"}, (Permanent, "too_large")),
        ({"MAIL": "550 not from you"}, (Permanent, "client_error")),
        ({"<oncall@example.com>": "550 who", "<ml@example.com>": "550 who"}, (Permanent, "client_error")),
        ({"<oncall@example.com>": "550 who", "<ml@example.com>": "450 greylisted"}, (Retryable, "server_error")),
        ({"DATA": "451 later"}, (Retryable, "server_error")),
        ({"DATA": HANG}, (Retryable, "timeout")),
        ({".": "452 disk full"}, (Retryable, "server_error")),
        ({".": "554 spam"}, (Permanent, "client_error")),
        ({".": ""}, (Retryable, "connection")),
        ({"QUIT": "500 what"}, (None, "")),
        ({"QUIT": ""}, (None, "")),
        ({"QUIT": HANG}, (None, "")),  # the letter was taken: it must not be sent a second time
    ],
)
def test_every_way_to_fail_says_whether_to_try_again(
    said: dict[str, str], expected: tuple, post_office: MailServer
) -> None:
    post_office.answers = said
    impatient = sender(post_office, timeout="500ms" if HANG in said.values() else "10s")

    assert outcome(lambda: impatient.notify(examples()[:1])) == expected
    assert len(post_office.mails) == (expected == (None, ""))


def test_a_recipient_that_is_refused_keeps_nobody_else_from_the_letter(
    post_office: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    post_office.answers = {"<ml@example.com>": "550 no such user"}
    with caplog.at_level(logging.WARNING, "driftline.alerts"):
        sender(post_office).notify(examples()[:1])

    assert post_office.mails[0].to == ["<oncall@example.com>"]
    assert "ml@example.com was not told: answered 550: no such user" in caplog.text


def test_no_server_at_all_is_a_connection_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert outcome(lambda: sender(MailServer(port=port)).notify(examples()[:1])) == (Retryable, "connection")


def test_a_name_without_address_is_a_dns_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    assert outcome(lambda: sender(MailServer(port=25)).notify(examples()[:1])) == (Retryable, "dns")


def test_an_unreadable_ca_file_does_not_escape_as_a_stray_exception(post_office: MailServer, tmp_path) -> None:
    missing = sender(post_office, ca_file=tmp_path / "missing.pem")
    assert outcome(lambda: missing.notify(examples()[:1]))[0] is Retryable


# --- configuration ---


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("ops@example.com", "ops@example.com"),
        ("Operations <ops@example.com>", "ops@example.com"),
        ("Änne <a@b.c>", "a@b.c"),
        ("ops+ml@[192.0.2.1]", "ops+ml@[192.0.2.1]"),
    ],
)
def test_an_address_is_read_with_and_without_a_name(text: str, spec: str) -> None:
    assert parse_address(text).addr_spec == spec


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ops",
        "ops@",
        "@b.c",
        "a@b.c, d@e.f",
        "a@b.c <d@e.f>",
        "a@b.c\nBcc: d@e.f",
        "é@b.c",
        "a@ b.c",
        '"a b"@c',
        "x" * 400,
    ],
)
def test_what_is_not_one_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not one address in ASCII, such as ops@example.com"):
        parse_address(text)


@given(st.text(max_size=60))
def test_no_text_makes_an_address_that_could_be_two_commands(text: str) -> None:
    try:
        spec = parse_address(text).addr_spec
    except ValueError:
        return
    assert spec.isascii() and spec.isprintable() and not set(spec) & set(' <>,;"')


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_port_follows_from_the_security(security: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        tried.append(address[1])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    outcome(lambda: Email(host="localhost", security=security, sender=FROM, to=TO).notify(examples()[:1]))
    assert tried == [port]


def test_the_greeting_asks_no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda *_: pytest.fail("asked"))
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    assert mail._own_name() == "[127.0.0.1]"
    monkeypatch.setattr(socket, "gethostname", lambda: "box.example.com")
    assert mail._own_name() == "box.example.com"
