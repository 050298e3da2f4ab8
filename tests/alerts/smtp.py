"""A mail server on a real socket that says what a test tells it to, and keeps what it got."""

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

TLS_FILES = Path(__file__).parents[1] / "data" / "tls"
CERTIFICATE, KEY = TLS_FILES / "localhost.crt", TLS_FILES / "localhost.key"
HANG = "(says nothing)"


@dataclass
class Mail:
    """A letter as it came: who it is from and for, by the envelope, and its bytes."""

    sender: str
    to: list[str]
    data: bytes
    encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.data, policy=default)
        assert isinstance(found, EmailMessage)
        return found


@dataclass
class MailServer:
    """Speaks SMTP (RFC 5321) with STARTTLS and AUTH, as far as told.

    `answers` replaces what it says to a command, such as {"MAIL": "451 later"}, or to a recipient, {"<a@b>": "550 no"};
    HANG says nothing, and an empty answer hangs up. "" is the greeting, "." the answer to a letter.
    """

    extensions: list[str] = field(default_factory=lambda: ["STARTTLS", "AUTH PLAIN LOGIN", "SIZE 10000000"])
    tls_from_the_start: bool = False
    user: str = "driftline"
    password: str = "pa55w0rd"
    answers: dict[str, str] = field(default_factory=dict)
    mails: list[Mail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    port: int = 0


@contextmanager
def mail_server(state: MailServer) -> Iterator[MailServer]:
    """Serve until the block ends; each connection in a thread."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    threads: list[threading.Thread] = []
    open_now: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        state.port = listener.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                open_now.append(connection)
                threads.append(threading.Thread(target=_Session(state, connection, context).run))
                threads[-1].start()

        main = threading.Thread(target=serve)
        main.start()
        try:
            yield state
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            main.join()
            for connection in open_now:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


class _Session:
    def __init__(self, state: MailServer, connection: socket.socket, context: ssl.SSLContext) -> None:
        self.state, self.connection, self.context = state, connection, context
        self.encrypted, self.user = False, None
        self.sender, self.to = "", []

    def run(self) -> None:
        with suppress(OSError, EOFError):
            if self.state.tls_from_the_start:
                self.encrypt()
            self.file = self.connection.makefile("rb")
            self.say("", "220 test")
            while True:
                self.command(self.line())
        with suppress(OSError):
            self.connection.close()

    def encrypt(self) -> None:
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.file = self.connection.makefile("rb")
        self.encrypted = True

    def line(self) -> str:
        line = self.file.readline()
        if not line:
            raise EOFError
        return line.decode().rstrip("\r\n")

    def say(self, to: str, usual: str) -> bool:
        """Answer as told, or as usual; whether it was as usual."""
        answer = self.state.answers.get(to, usual)
        if answer == HANG:
            self.file.read()
        if not answer:
            raise EOFError
        self.connection.sendall(f"{answer}\r\n".encode())
        return answer == usual

    def command(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        self.state.commands.append(verb)
        if verb == "EHLO":
            *lines, last = ["test", *(one for one in self.state.extensions if one != "STARTTLS" or not self.encrypted)]
            self.say(verb, "\r\n".join([*(f"250-{one}" for one in lines), f"250 {last}"]))
        elif verb == "STARTTLS":
            if self.say(verb, "220 go"):
                self.encrypt()
        elif verb == "AUTH":
            self.log_in(rest)
        elif verb == "MAIL":
            self.sender, self.to = rest.partition(":")[2].partition(" ")[0], []
            self.say(verb, "250 ok")
        elif verb == "RCPT":
            address = rest.partition(":")[2].partition(" ")[0]
            if self.say(address, "250 ok"):
                self.to.append(address)
        elif verb == "DATA":
            if self.say(verb, "354 go"):
                self.take()
        elif verb == "QUIT":
            self.say(verb, "221 bye")
            raise EOFError
        else:
            self.say(verb, "250 ok")

    def log_in(self, rest: str) -> None:
        way, _, first = rest.partition(" ")
        if way == "PLAIN":
            _, user, password = base64.b64decode(first).decode().split("\0")
        else:
            user = base64.b64decode(first).decode()
            self.connection.sendall(b"334 " + base64.b64encode(b"Password:") + b"\r\n")
            password = base64.b64decode(self.line()).decode()
        if (user, password) != (self.state.user, self.state.password):
            self.connection.sendall(f"535 5.7.8 no, not {password}\r\n".encode())
        elif self.say("AUTH", "235 ok"):
            self.user = user

    def take(self) -> None:
        lines = []
        while (line := self.file.readline()) != b".\r\n":
            if not line:
                raise EOFError
            lines.append(line[1:] if line.startswith(b".") else line)
        if self.say(".", "250 taken"):
            self.state.mails.append(Mail(self.sender, self.to, b"".join(lines), self.encrypted, self.user))
