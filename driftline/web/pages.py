"""The pages: plain HTML, rendered here, whole without a script."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from alerts.changed_then import kind_words
from alerts.explain import Wording
from collector.core.clock import Clock
from driftline.web import words
from driftline.web.cards import (
    MOST_EVIDENCE,
    MOST_LINKED,
    change_card,
    decisions,
    example_rows,
    series_row,
    trace_row,
)
from driftline.web.query import Refused, parameters, shown, trace_id
from driftline.web.reading import NOT_SCORED, by_evidence, funnels, read_changes
from driftline.web.rollout_cards import rollout_card
from driftline.web.source import Source

STATIC = Path(__file__).parent / "static"

_ACTIVE_SHOWN = 20
_RESOLVED_SHOWN = 10
_SERIES_SHOWN = 30
_TRACES_SHOWN = 20
_ROLLOUTS_SHOWN = 20


class Pages:
    """One method an address. Each raises Refused for what it cannot show."""

    def __init__(self, source: Source, wording: Wording, clock: Clock) -> None:
        self._source = source
        self._wording = wording
        self._clock = clock
        self._templates = _templates(clock)

    def routes(self) -> Mapping[str, Callable[[Request], Response]]:
        return {
            "/": self.first,
            "/traces": self.find,
            "/traces/{trace_id}": self.trace,
            "/changes/{change_id}": self.change,
        }

    def first(self, request: Request) -> Response:
        view = self._source.view
        found = read_changes(view)
        active, resolved = found.active, found.resolved
        series = by_evidence(self._source.series())
        rollouts = self._source.rollouts()
        return self._page(
            request,
            "first.html",
            health=self._source.health(),
            readiness=self._source.readiness(),
            counts=self._source.counts(),
            active=[change_card(change, self._wording) for change in active[:_ACTIVE_SHOWN]],
            active_total=len(active),
            resolved=[change_card(change, self._wording) for change in resolved[:_RESOLVED_SHOWN]],
            resolved_total=len(resolved),
            unreadable=found.unreadable,
            series=[series_row(status, self._wording) for status in series[:_SERIES_SHOWN]],
            series_total=len(series),
            rollouts=[rollout_card(one, self._wording.units) for one in rollouts[:_ROLLOUTS_SHOWN]],
            rollouts_total=len(rollouts),
            funnels=funnels(view, [scorer.name for scorer in self._source.scorers]),
            traces=[trace_row(sheet["trace_id"], sheet) for sheet in view.recent(_TRACES_SHOWN)],
            addresses=self._source.addresses,
            scorers=self._source.scorers,
            monitors=self._source.monitors,
        )

    def find(self, request: Request) -> Response:
        """Where the search field leads: to the page of a trace."""
        given = parameters(request, "trace_id")
        wanted = trace_id(given.get("trace_id", ""))
        return RedirectResponse(f"{_root(request)}/traces/{wanted}", status_code=303)

    def trace(self, request: Request) -> Response:
        wanted = trace_id(request.path_params["trace_id"])
        sheet = self._source.view.sheet(wanted)
        if sheet is None:
            raise Refused(
                f"Trace {wanted} is not known here: it has not arrived, is not complete yet, is older than retention, "
                f"or its id alone decided that it is not sampled. `driftline why {wanted}` tells which.",
                404,
            )
        changes = read_changes(self._source.view).naming(wanted)
        return self._page(
            request,
            "trace.html",
            sheet=sheet,
            decisions=decisions(sheet),
            unread=len(sheet["decisions"]) - len(decisions(sheet)),
            changes=[change_card(change, self._wording) for change in changes[:MOST_LINKED]],
            units=self._wording.units,
            scorers={scorer.name: scorer for scorer in self._source.scorers},
        )

    def change(self, request: Request) -> Response:
        change_id = request.path_params["change_id"]
        found = read_changes(self._source.view).find(change_id)
        if found is None:
            raise Refused(f"Change {shown(change_id)} is not known here; it may be older than retention.", 404)
        return self._page(
            request,
            "change.html",
            card=change_card(found, self._wording),
            bad=example_rows(found.traces, self._source.view),
            typical=example_rows(found.typical_traces, self._source.view),
            good=example_rows(found.contrast_traces, self._source.view),
            deliveries=self._source.deliveries(found.id),
        )

    def problem(self, request: Request, message: str, status_code: int) -> Response:
        """What went wrong, for a person."""
        return self._page(request, "problem.html", status_code, message=message, code=status_code)

    def _page(self, request: Request, template: str, code: int = 200, /, **facts: object) -> Response:
        now_ns = self._clock.now_ns()
        text = self._templates.get_template(template).render(facts, root=_root(request), now_ns=now_ns)
        return HTMLResponse(text, code)


def _root(request: Request) -> str:
    """The prefix under which a proxy shows the page."""
    return str(request.scope.get("root_path", ""))


def _templates(clock: Clock) -> Environment:
    made = Environment(
        loader=PackageLoader("driftline.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        at=lambda at_ns: _at(at_ns, clock.now_ns(), words.moment(at_ns)),
        brief=lambda at_ns: _at(at_ns, clock.now_ns(), words.clock_time(at_ns, clock.now_ns())),
        count=words.count,
        duration=words.duration,
        kind=kind_words,
        percent=words.percent,
        plain=words.text,
        segment=lambda text: quote(str(text), safe=""),
    )
    made.globals.update(
        interval=words.interval,
        level=words.level,
        moment=words.moment,
        most_evidence=MOST_EVIDENCE,
        not_scored=NOT_SCORED,
        value=words.value,
        version=_static_version(),
    )
    return made


def _at(at_ns: int, now_ns: int, shown_as: str) -> Markup:
    """A moment with its age."""
    stamp = words.moment(at_ns)
    if not stamp.endswith("UTC"):
        return escape(stamp)
    machine = stamp.removesuffix(" UTC").replace(" ", "T") + "Z"
    return Markup('<time datetime="{}" title="{}">{}</time> <span class="age">{}</span>').format(
        machine, stamp, shown_as, words.age(at_ns, now_ns)
    )


def _static_version() -> str:
    """Changes with the style and script, so that browsers never keep old ones."""
    return blake2b(b"".join(path.read_bytes() for path in sorted(STATIC.iterdir())), digest_size=4).hexdigest()
