"""Letters by SMTP, one for each thing there is to tell of a change.

Source: RFC 5321 (SMTP and its reply codes), RFC 3207 (STARTTLS), RFC 8314 (implicit TLS on 465, submission), RFC 4954
(AUTH). The connection is never less secure than configured: a server that does not offer STARTTLS is refused.
"""

import logging
import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import getaddresses
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, Field, SecretStr, model_validator

from alerts.base import DeliveryError, Notification, Permanent, Retryable
from alerts.http import NAME, causes, conceal
from alerts.letter import letter
from alerts.limit import Limited
from alerts.plain import clean
from collector.core.settings import Duration, Secret, is_loopback

Security: TypeAlias = Literal["starttls", "tls", "none"]

_PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
_AUTH_CODES = (530, 534, 535, 538)  # RFC 4954 section 6
_TOO_LARGE = 552  # RFC 1870 section 6.1
_ANSWER_RUNES = 200
_LONGEST_ADDRESS = 320  # characters, with the name
_MOST_RECIPIENTS = 50
_logger = logging.getLogger("driftline.alerts")


def parse_address(text: str) -> Address:
    """The one address in `ops@example.com` or `Operations <ops@example.com>`.

    >>> parse_address("Operations <ops@example.com>").addr_spec
    'ops@example.com'

    Raises:
        ValueError: it is none, or several, or has other characters than ASCII in the address itself.
    """
    found = getaddresses([text]) if text.isprintable() and len(text) <= _LONGEST_ADDRESS else []
    try:
        ((name, spec),) = found
        address = Address(name, addr_spec=spec)
    except (ValueError, IndexError, MessageError):
        address = Address()
    plain = bool(address.username and address.domain) and spec.isascii() and not set(spec) & set(' "<>(),;:\\')
    if not plain or spec not in text:
        raise ValueError(
            f"{text!r:.80} is not one address in ASCII, such as ops@example.com or Operations <ops@example.com>"
        )
    return address


def _checked(text: str) -> str:
    parse_address(text)
    return text


MailAddress = Annotated[str, AfterValidator(_checked)]


class Email(Limited):
    """Sends by one SMTP server; all letters of a change are one thread.

    Config:
        alerts:
          email: {host: smtp.example.com, sender: driftline@example.com, to: [oncall@example.com]}
    """

    largest_group: ClassVar[int] = 1  # a letter belongs to the thread of its change

    host: str = Field(min_length=1, max_length=255, description="of the SMTP server")
    port: int | None = Field(None, ge=1, le=65535, description="null: 587 for starttls, 465 for tls, 25 for none")
    security: Security = Field("starttls", description="starttls; tls from the first byte; or none")
    insecure: bool = Field(False, description="let `security: none` leave this machine")
    username: str | None = Field(None, min_length=1, description="to log in with; null: do not log in")
    password: Secret | None = Field(None, description="to log in with")
    sender: MailAddress = Field(description="whom letters come from, such as `Driftline <driftline@example.com>`")
    to: Sequence[MailAddress] = Field(min_length=1, max_length=_MOST_RECIPIENTS, description="whom they go to")
    timeout: Annotated[Duration, Field(gt=0, description="for connecting, and for each wait for an answer")] = 10.0
    ca_file: Path | None = Field(None, description="certificates to trust instead of the usual ones")
    name: str = Field("email", pattern=NAME, description="in metrics and logs, if there are several")

    @model_validator(mode="after")
    def _keeps_secrets(self) -> "Email":
        if self.security == "none" and not self.insecure and not is_loopback(self.host):
            raise ValueError(
                f"security is none and host is {self.host!r}: anybody on the way could read along; use starttls "
                "or tls, or say insecure: true"
            )
        if (self.username is None) != (self.password is None):
            missing = "username" if self.username is None else "password"
            raise ValueError(f"{missing} is missing: to log in takes both username and password")
        return self

    def notify(self, notifications: Sequence[Notification]) -> None:
        sender, to = parse_address(self.sender), [parse_address(one) for one in self.to]
        for notification in notifications:
            body = bytes(letter(notification, sender, to))
            try:
                with self._session() as smtp:
                    self._tell(smtp.sendmail(sender.addr_spec, [one.addr_spec for one in to], body))
            except (smtplib.SMTPException, OSError, UnicodeError, ValueError) as error:
                raise self._problem(error) from error

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """A connection that is as secure as configured, and logged in."""
        port = self.port if self.port is not None else _PORTS[self.security]
        me = _own_name()
        smtp: smtplib.SMTP
        if self.security == "tls":
            smtp = smtplib.SMTP_SSL(self.host, port, me, timeout=self.timeout, context=self._trust())
        else:
            smtp = smtplib.SMTP(self.host, port, me, timeout=self.timeout)
        try:
            if self.security == "starttls":
                smtp.starttls(context=self._trust())
            if self.username is not None and self.password is not None:
                _log_in(smtp, self.username, self.password)
            yield smtp
            with suppress(smtplib.SMTPException, OSError):
                smtp.quit()  # the letter was taken: whatever happens now, it is not to be sent again
        finally:
            smtp.close()

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))

    def _tell(self, refused: Mapping[str, tuple[int, bytes]]) -> None:
        """Some addresses were refused, but not all: who is left was told, and the letter is not sent again."""
        for address, answer in refused.items():
            _logger.warning("notifier %s: %s was not told: %s", self.name, address, self._shown(*answer))

    def _problem(self, error: BaseException) -> DeliveryError:
        """What a failure means for trying again."""
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            answers = list(error.recipients.values())
            code, text = next((one for one in answers if one[0] < 500), answers[0])
            return _verdict(code, f"no recipient was taken: {self._shown(code, text)}")
        if isinstance(error, smtplib.SMTPResponseException):
            return _verdict(error.smtp_code, self._shown(error.smtp_code, error.smtp_error))
        if isinstance(error, smtplib.SMTPNotSupportedError):
            if "STARTTLS" in str(error):
                return Permanent("tls", "the server does not offer STARTTLS; see `security`")
            return Permanent("auth", "the server offers no way to log in that is supported (PLAIN, LOGIN)")
        return _failure(error)

    def _shown(self, code: int, answer: bytes | str) -> str:
        """An answer of the server in one line, without the password should it repeat it."""
        text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
        secrets = [] if self.password is None else [self.password.get_secret_value()]
        return clean(f"answered {code}: {conceal(' '.join(text.split()), secrets)}", _ANSWER_RUNES)


def _log_in(smtp: smtplib.SMTP, username: str, password: SecretStr) -> None:
    """By PLAIN or LOGIN, once: what TLS protects needs no cleverer way, and each failure may count towards a lock."""
    smtp.ehlo_or_helo_if_needed()
    offered = str(smtp.esmtp_features.get("auth", "")).upper().split()
    ways: dict[str, Any] = {"PLAIN": smtp.auth_plain, "LOGIN": smtp.auth_login}
    way = next((one for one in ways if one in offered), None)
    if way is None:
        raise smtplib.SMTPNotSupportedError("no supported AUTH")
    smtp.user, smtp.password = username, password.get_secret_value()
    smtp.auth(way, ways[way])


def _verdict(code: int, message: str) -> DeliveryError:
    """What a reply means: 4yz not now, 5yz never (RFC 5321 section 4.2.1)."""
    if 400 <= code < 500:
        return Retryable("auth" if "4.7.0" in message and code == 454 else "server_error", message)
    if code in _AUTH_CODES:
        return Permanent("auth", message)
    if code == _TOO_LARGE:
        return Permanent("too_large", message)
    return Permanent("client_error", message) if 500 <= code < 600 else Retryable("bad_response", message)


def _failure(error: BaseException) -> DeliveryError:
    """What the lack of an answer means; the message names no more than the kind of failure."""
    every = list(causes(error))
    if any(isinstance(cause, TimeoutError) for cause in every):
        return Retryable("timeout", "no answer in time")
    if any(isinstance(cause, ssl.SSLError) for cause in every):
        return Retryable("tls", f"no secure connection: {every[-1]}")
    if any(isinstance(cause, socket.gaierror) for cause in every):
        return Retryable("dns", f"the host name has no address: {every[-1]}")
    if isinstance(error, OSError | smtplib.SMTPServerDisconnected):
        return Retryable("connection", f"no connection: {clean(every[-1], _ANSWER_RUNES)}")
    return Retryable("bad_response", f"not an SMTP answer ({type(error).__name__})")


def _own_name() -> str:
    """What to greet the server with: a full name if this machine has one, else an address (RFC 5321 section 4.1.4).

    Asks no name server, as the library would, without a limit of time.
    """
    name = socket.gethostname()
    return name if "." in name and name.isascii() and name.isprintable() and " " not in name else "[127.0.0.1]"
