"""Who may see what: every route of the app, and what it asks of whoever comes. The whole list.

A route stands in exactly one of the three tables; one that stands in none does not let the app start, and
would be refused. HEAD counts as GET.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from leadnurture.domain.roles import Needed, Scope

Public = Literal["open", "link", "signed", "entrance"]

PUBLIC: Final[Mapping[str, Public]] = {
    # Whoever has the link: its token was signed by us, names one lead, handoff or task, and does one thing.
    "GET /c/{token}": "link",
    "GET /u/{token}": "link",
    "POST /u/{token}": "link",
    "GET /p/{token}": "link",
    "POST /p/{token}": "link",
    "GET /w/{token}": "link",
    "POST /w/{token}": "link",
    "GET /d/{token}": "link",
    "POST /d/{token}": "link",
    "GET /h/{token}": "link",
    "POST /h/{token}": "link",
    "GET /a/{token}": "link",
    "POST /a/{token}": "link",
    # Providers and platforms, who sign what they post.
    "POST /hooks/sendgrid/events": "signed",
    "POST /hooks/sendgrid/inbound": "signed",
    "POST /hooks/webinar/{provider}": "signed",
    # They tell nothing about anybody.
    "GET /static": "open",
    "GET /healthz": "open",
    "GET /readyz": "open",
    # Where people come in: at the addresses of the tool, from its own form.
    "GET /sign-in": "entrance",
    "POST /sign-in": "entrance",
}
SYSTEMS: Final[Mapping[str, Scope]] = {
    "POST /api/leads": "leads",
    "POST /api/reactions": "reactions",
    "GET /metrics": "read",  # to the machine itself without a key
}
PEOPLE: Final[Mapping[str, Needed]] = {
    "GET /": "viewer",
    "GET /programs": "viewer",
    "GET /programs/{name}": "viewer",
    "GET /handoffs": "viewer",
    "POST /handoffs/{handoff_id}": "sales",
    "GET /tasks": "viewer",
    "POST /tasks/{task_id}": "marketer or sales",
    "GET /replies": "viewer",
    "POST /replies/{reply_id}": "marketer or sales",
    "GET /content": "viewer",
    "GET /content/{content}": "viewer",
    "POST /content/{content}/attendance": "marketer",
    "POST /clicks/{click_id}": "marketer",
    "GET /leads": "viewer",
    "GET /leads/{lead_id}": "viewer",
    "GET /leads/{lead_id}/export": "marketer or sales",
    "POST /leads/{lead_id}/merge": "marketer",
    "POST /leads/{lead_id}/merges/{merge_id}/undo": "marketer",
    "POST /leads/{lead_id}/notes": "marketer or sales",
    "POST /leads/{lead_id}/feedback": "marketer or sales",
    "GET /outbox": "viewer",
    "GET /outbox/{message_id}": "viewer",
    "GET /outbox/{message_id}/html": "viewer",
    # Everybody's own.
    "GET /account": "viewer",
    "POST /account/password": "viewer",
    "POST /account/sign-out-everywhere": "viewer",
    "POST /sign-out": "viewer",
    # Those of the admins.
    "GET /users": "admin",
    "POST /users": "admin",
    "POST /users/{user_id}/role": "admin",
    "POST /users/{user_id}/password": "admin",
    "POST /users/{user_id}/remove": "admin",
    "GET /keys": "admin",
    "POST /keys": "admin",
    "POST /keys/{key_id}/revoke": "admin",
    "GET /audit": "admin",
}


def route(method: str, path: str) -> str:
    """A route as the tables write it."""
    return f"{'GET' if method == 'HEAD' else method} {path}"


def routes(app: FastAPI) -> set[str]:
    """Every route that the app has."""
    return {
        route(method, context.path or "")
        for context in iter_route_contexts(app.routes)
        for method in context.methods or {"GET"}  # what is mounted has no methods of its own
    }


def check_rights(app: FastAPI) -> None:
    """Refuses an app with a route that nothing is said about, and tables that speak of what is not there."""
    said = [*PUBLIC, *SYSTEMS, *PEOPLE]
    there = routes(app)
    _refuse("nothing is said about who may come in", there - set(said))
    _refuse("something is said about what is not there", set(said) - there)
    _refuse("it is said twice who may come in", {name for name in said if said.count(name) > 1})


def _refuse(why: str, names: Iterable[str]) -> None:
    if names:
        raise RuntimeError(f"{why}: {', '.join(sorted(names))}; see leadnurture/web/rights.py")
