"""What holds for every answer: headers that keep hostile content harmless, a count, and an end to overload.

And whom it is for. A page of somebody else's, open in a browser on this machine, can have its own name resolve to an
address here (DNS rebinding), and then reads what it likes. Such a request has that name as its Host, so at a listener
that only this machine can reach, only names that are known to be ours are answered.
"""

import base64
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Mapping

import anyio
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collector.core.errors import Overloaded, Rejected
from collector.core.telemetry import Telemetry
from collector.receivers.access import UNAUTHORIZED, Access, bearer
from collector.receivers.hosts import is_ours
from driftline.web.api import answer

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

MAY_READ = "driftline.may_read"
"""In the scope of a probe: whether who asks may be told reasons."""

_PROBES = ("/healthz", "/readyz")
_ASKED = "send authorization: Bearer TOKEN; in a browser, the token is the password, and the name does not matter"
_CHALLENGES = {"WWW-Authenticate": 'Basic realm="Driftline", charset="UTF-8", Bearer realm="Driftline"'}
_MISDIRECTED = 421  # RFC 9110 section 15.5.20

Work = Callable[[Request], Response]


class Guard:
    """Outermost: adds the headers to whatever is answered, and answers for what nobody expected."""

    def __init__(
        self, app: ASGIApp, telemetry: Telemetry, hosts: Collection[str] | None = None, access: Access | None = None
    ) -> None:
        self._app, self._access = app, access
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
            told = "This is not the name of this service; listen.hosts lists the names it answers to."
            app = _refusal(scope, told, _MISDIRECTED)
        elif self._access is not None and (refusal := self._screen(scope, self._access)) is not None:
            app = refusal
        try:
            await app(scope, receive, send_guarded)
        except Exception:
            _log.exception("%s %r failed", scope["method"], scope["path"][:200])
            if not answered:
                await PlainTextResponse("internal error; the log says more\n", 500)(scope, receive, send_guarded)
        self._requests.add(1, getattr(scope.get("route"), "path", "none"), answered or "none")

    def _screen(self, scope: Scope, access: Access) -> Response | None:
        """A refusal, if there is to be one. Who probes may know no token; style and script tell nothing."""
        path = str(scope["path"])
        headers = Request(scope).headers
        is_probe = path in _PROBES
        if path.startswith("/static/") or (is_probe and "authorization" not in headers):
            scope[MAY_READ] = not access.asks("read")
            return None
        address = (scope.get("client") or ("",))[0]
        try:
            access.admit("web", "read", _token(headers.get("authorization", "")), address)
        except Overloaded as error:
            wait = {"Retry-After": str(max(1, math.ceil(error.retry_after_seconds)))}
            return _refusal(scope, str(error), 429, wait)
        except Rejected as error:
            if error.reason == UNAUTHORIZED:
                return _refusal(scope, _ASKED, 401, _CHALLENGES)
            return _refusal(scope, str(error), 403)
        return None


def _refusal(scope: Scope, told: str, code: int, headers: Mapping[str, str] | None = None) -> Response:
    if str(scope["path"]).startswith("/api/"):
        return answer({"error": told}, code, headers)
    return PlainTextResponse(f"{told}\n", code, headers)


def _token(authorization: str) -> bytes | None:
    """The token of a request: a program's `Bearer TOKEN`, or the password that a browser asks for (RFC 7617).

    >>> _token("Bearer abc"), _token("Basic YW5hOmFiYw=="), _token("Basic ?"), _token("")
    (b'abc', b'abc', None, None)
    """
    scheme, _, sent = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return bearer(authorization.encode("latin-1", "replace"))
    try:
        return base64.b64decode(sent.strip(), validate=True).partition(b":")[2] or None
    except ValueError:
        return None


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
