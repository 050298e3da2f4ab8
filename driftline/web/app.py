"""The web application: the page, the JSON API, the metrics and the two probes, on one address.

GET and HEAD only: nothing here changes anything. What takes time runs in threads, and too many requests at once are
answered with 503 rather than kept.
"""

import logging
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from alerts.explain import Wording
from alerts.exposition import Exposition
from collector.core.clock import Clock, SystemClock
from collector.core.errors import Overloaded, StoreError
from collector.receivers.access import Access
from driftline.web.api import Api, answer
from driftline.web.cards import units
from driftline.web.guard import MAY_READ, Guard, Lane, Work
from driftline.web.pages import STATIC, Pages
from driftline.web.query import Refused
from driftline.web.source import Source

_log = logging.getLogger(__name__)

_QUESTION_THREADS = 4
_MOST_QUESTIONS_WAITING = 64
_PROBE_THREADS = 2  # metrics and probes must answer while the page is busy
_MOST_PROBES_WAITING = 32

Failure = Callable[[Request, Exception], Response]


def create_app(
    source: Source,
    clock: Clock | None = None,
    shows: bool = True,
    hosts: Collection[str] | None = None,
    access: Access | None = None,
) -> Starlette:
    """The application that shows `source`.

    Args:
        source: the running service; its scorers must not change any more.
        clock: for the ages on the page; the machine's if left out.
        shows: whether there are page and API, besides metrics and probes.
        hosts: names it answers to, besides IP addresses and localhost; None: any.
        access: who may look; None: anybody.
    """
    clock = clock or SystemClock()
    wording = Wording(units=units(source.scorers))
    pages = Pages(source, wording, clock)
    shown = [pages.routes(), Api(source, wording, clock).routes()] if shows else []
    app = Starlette(
        routes=[
            *(route for works in shown for route in _routes(works, Lane(_QUESTION_THREADS, _MOST_QUESTIONS_WAITING))),
            *_routes(_probes(source), Lane(_PROBE_THREADS, _MOST_PROBES_WAITING)),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, telemetry=source.telemetry, hosts=hosts, access=access)],
        exception_handlers=dict(_failures(pages)),
    )
    app.router.redirect_slashes = False
    return app


def _routes(works: Mapping[str, Work], lane: Lane) -> list[BaseRoute]:
    return [Route(path, lane.endpoint(work), methods=["GET"]) for path, work in works.items()]


def _probes(source: Source) -> dict[str, Work]:
    exposition = Exposition(source.telemetry)

    def metrics(request: Request) -> Response:
        body, content_type = exposition.render(request.headers.get("accept"))
        return Response(body, headers={"Content-Type": content_type, "Vary": "Accept"})

    def healthz(request: Request) -> Response:
        return _probe(request, source.health())

    def readyz(request: Request) -> Response:
        return _probe(request, source.readiness())

    return {"/metrics": metrics, "/healthz": healthz, "/readyz": readyz}


def _probe(request: Request, reasons: Sequence[str]) -> Response:
    """200 and `ok`, or 503 and one reason a line: to those who may know it, for reasons name files and hosts."""
    if reasons and not request.scope.get(MAY_READ, True):
        reasons = ["not now; send a token that may read to be told why"]
    return PlainTextResponse("\n".join([*(reasons or ["ok"]), ""]), 503 if reasons else 200)


def _failures(pages: Pages) -> dict[type[Exception], Failure]:
    def tell(request: Request, message: str, code: int, headers: dict[str, str] | None = None) -> Response:
        path = str(request.scope["path"]).removeprefix(str(request.scope.get("root_path", "")))
        if path.startswith("/api/"):
            return answer({"error": message}, code, headers)
        if path in ("/metrics", "/healthz", "/readyz") or path.startswith("/static/"):
            return PlainTextResponse(f"{message}\n", code, headers)
        response = pages.problem(request, message, code)
        response.headers.update(headers or {})
        return response

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return tell(request, str(error), error.status_code)

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = {404: "There is nothing at this address.", 405: "Only GET and HEAD are allowed here."}
        return tell(request, message.get(error.status_code, error.detail), error.status_code, dict(error.headers or {}))

    def overloaded(request: Request, error: Exception) -> Response:
        assert isinstance(error, Overloaded)
        return tell(request, str(error), 503, {"Retry-After": f"{max(1, round(error.retry_after_seconds))}"})

    def unreadable(request: Request, error: Exception) -> Response:
        _log.warning("the view cannot be read: %s", error)
        return tell(request, "The view cannot be read now; the log says more.", 503, {"Retry-After": "5"})

    return {
        Refused: refused,
        HTTPException: http,
        Overloaded: overloaded,
        sqlite3.Error: unreadable,
        StoreError: unreadable,
    }
