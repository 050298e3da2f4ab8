"""What holds for every answer: headers that keep hostile content harmless, a count, and an end to overload."""

import logging
from collections.abc import Awaitable, Callable

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

Work = Callable[[Request], Response]


class Guard:
    """Outermost: adds the headers to whatever is answered, and answers for what nobody expected."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
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

        try:
            await self._app(scope, receive, send_guarded)
        except Exception:
            _log.exception("%s %r failed", scope["method"], scope["path"][:200])
            if not answered:
                await PlainTextResponse("internal error; the log says more\n", 500)(scope, receive, send_guarded)
        self._requests.add(1, getattr(scope.get("route"), "path", "none"), answered or "none")


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
