"""What holds for every answer: headers that keep hostile content harmless, a count, and an end to overload.

And whom it is for. A page of somebody else's, open in a browser on this machine, can have its own name resolve to an
address here (DNS rebinding), and then reads what it likes. Such a request has that name as its Host, so at a listener
that only this machine can reach, only names that are known to be ours are answered.
"""

import ipaddress
import logging
from collections.abc import Awaitable, Callable, Collection

import anyio
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collector.core.errors import Overloaded
from collector.core.telemetry import Telemetry

_log = logging.getLogger(__name__)

HEADERS = {
    # Style, script and icon are files of our own; nothing inline, nothing from elsewhere, no framing.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

_MISDIRECTED = 421  # RFC 9110 section 15.5.20

Work = Callable[[Request], Response]


class Guard:
    """Outermost: adds the headers to whatever is answered, and answers for what nobody expected."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, hosts: Collection[str] | None = None) -> None:
        self._app = app
        self._hosts = hosts
        self._requests = telemetry.counter(
            "driftline_web_requests", "Requests to the page and the API, by route and status.", ["route", "code"]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answered = ""

        async def send_guarded(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = str(message["status"])
                headers = MutableHeaders(scope=message)
                for name, text in HEADERS.items():
                    headers[name] = text
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        app = self._app
        if self._hosts is not None and not is_ours(Request(scope).headers.get("host", ""), self._hosts):
            told = "This is not the name of this service; listen.hosts lists the names it answers to.\n"
            app = PlainTextResponse(told, _MISDIRECTED)
        try:
            await app(scope, receive, send_guarded)
        except Exception:
            _log.exception("%s %r failed", scope["method"], scope["path"][:200])
            if not answered:
                await PlainTextResponse("internal error; the log says more\n", 500)(scope, receive, send_guarded)
        self._requests.add(1, getattr(scope.get("route"), "path", "none"), answered or "none")


def is_ours(host: str, names: Collection[str]) -> bool:
    """Whether a Host header is an IP address, which nobody's name is, `localhost`, or one of `names`.

    >>> is_ours("[::1]:8321", []), is_ours("evil.example:8321", []), is_ours("a.example", ["a.example"])
    (True, False, True)
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").rstrip(".").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in ("", "localhost") or name in names  # none: HTTP/1.0, which no browser speaks
    return True


class Lane:
    """Runs work in a few threads of its own, so that slow questions delay neither each other's kind nor the event loop.

    More than `most_waiting` requests in line are sent away rather than kept.
    """

    def __init__(self, threads: int, most_waiting: int) -> None:
        self._limiter = anyio.CapacityLimiter(threads)
        self._most_waiting = most_waiting

    def endpoint(self, work: Work) -> Callable[[Request], Awaitable[Response]]:
        async def run(request: Request) -> Response:
            if self._limiter.statistics().tasks_waiting >= self._most_waiting:
                raise Overloaded("web", "too many requests are waiting; try again shortly", retry_after_seconds=1)
            return await anyio.to_thread.run_sync(work, request, limiter=self._limiter)

        return run
