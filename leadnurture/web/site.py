"""Hides how a page is made of a template: the words and figures of now, escaped, in the company's name."""

from collections.abc import Callable, Mapping
from copy import copy
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from fastapi import Depends, Query, Request
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import leadnurture
from leadnurture import engine
from leadnurture.domain.company import Company
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.language import language_of
from leadnurture.errors import LeadNurtureError
from leadnurture.profile import telling
from leadnurture.profile.countries import country_told
from leadnurture.web import wording
from leadnurture.web.identity import Identity, IdentitySource
from leadnurture.web.project import Project
from leadnurture.web.saying import said

TEMPLATES: Final = Path(leadnurture.__file__).parents[1] / "templates" / "web"
STATIC: Final = Path(__file__).parent / "static"
NO_COMPANY: Final = "leadnurture"
LARGEST_ID: Final = 2**63 - 2
"""One more is still a number that a database can take."""
PAGE: Final = 50
"""How many rows of a list a page has."""
Id = Annotated[int, InPath(ge=1, le=LARGEST_ID)]
"""The number of a row, in an address."""
Before = Annotated[int | None, Query(ge=1, le=LARGEST_ID)]
"""The number with which the page before ended."""


class Site:
    """A project and its templates, as somebody sees them."""

    def __init__(
        self, project: Project, source: IdentitySource, machine_clock: Callable[[], datetime]
    ) -> None:
        self.project = project
        self.source = source
        self.machine_clock = machine_clock
        """For sign-ins, which no stepping clock ends."""
        self.me: Identity | None = None
        self._environment = _environment()

    def seen_by(self, me: Identity | None) -> "Site":
        """The same for somebody who is signed in, or for nobody."""
        site = copy(self)
        site.me = me
        return site

    @property
    def whoever(self) -> Identity:
        """Who is signed in, on a page that nobody sees otherwise."""
        if self.me is None:
            raise RuntimeError("a route that people stand behind was opened to nobody")
        return self.me

    def definitions(self) -> Definitions:
        """What is applied now; NotFoundError where nothing is."""
        with self.project.database.read() as connection:
            return engine.current_definitions(connection)

    def page(
        self,
        template: str,
        values: Mapping[str, object],
        *,
        status: int = 200,
        policy: str | None = None,
        zone: str | None = None,
        locale: str = "en",
    ) -> HTMLResponse:
        """The page of a template, on the clock of the company or of `zone`, in the language of a locale.

        `policy` replaces the usual Content-Security-Policy.
        """
        company = self._company()
        clock = zone or (company.zone if company else "UTC")
        words = wording.Wording(clock, self.project.clock())
        brand = company.name if company else NO_COMPANY
        language = language_of(locale)
        shared = {"company": company, "brand": brand, "words": words, "me": self.me, "language": language}
        values = {**shared, "say": partial(said, language), **values}
        html = self._environment.get_template(template).render(values)
        response = HTMLResponse(html, status, {"Content-Security-Policy": policy} if policy else None)
        if self.me is not None and self.me.cookie is not None:
            response.headers.append("Set-Cookie", self.me.cookie)
        return response

    def sorry(self, title: str, sentence: str, *, status: int) -> HTMLResponse:
        """The page that says what went wrong and what to do; whatever else is broken, it is shown."""
        try:
            company = self._company()
        except Exception:  # noqa: BLE001 - a page about a failure must not fail by it
            company = None
        values = {"company": company, "brand": company.name if company else NO_COMPANY, "language": "en"}
        page = self._environment.get_template("sorry.html")
        return HTMLResponse(page.render({**values, "title": title, "sentence": sentence}), status)

    def _company(self) -> Company | None:
        try:
            return self.definitions().company
        except LeadNurtureError:
            return None


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": wording.number,
        "words": wording.words,
        "agreement": telling.agreement_told,
        "country": country_told,
    }
    environment.globals |= {"counted": wording.counted, "share": wording.share, "span": telling.span_told}
    return environment


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site.seen_by(request.state.me)


Here = Annotated[Site, Depends(_site)]
"""The site that a door or page belongs to."""
