"""Who is signed in, wherever that is known from. Pages see an `Identity` and ask nothing else.

One idea to hold: our own users and their browsers are one source of identities. Another (OpenID Connect, a
proxy that has signed people in) is another class with these methods, given to `create_app`; no page changes.
"""

from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import quote, urlsplit

from fastapi import Request

from leadnurture.domain.roles import Needed, Role, may


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who is signed in."""

    name: str
    role: Role
    user_id: int | None = None
    """Of our own users; whoever comes from elsewhere has no password here."""
    cookie: str | None = None
    """What his browser is to keep from now on, as the value of `Set-Cookie`."""

    def may(self, needed: Needed) -> bool:
        """Whether he may do what needs that role."""
        return may(self.role, needed)


class IdentitySource(Protocol):
    """Knows who comes."""

    def identify(self, request: Request) -> Identity | None:
        """Who sends the request; None when nobody is signed in. Writes nothing."""

    def entrance(self, back: str) -> str:
        """The address at which one signs in, and from which one comes back to a page of ours."""


SIGN_IN: Final = "/sign-in"


def entrance(back: str) -> str:
    """Our own page to sign in."""
    return SIGN_IN if back == "/" else f"{SIGN_IN}?next={quote(back, safe='/')}"


def page_of_ours(address: str) -> str:
    """The address if it is a path of ours, else the start: nobody is led away by a link to our sign-in."""
    parts = urlsplit(address)
    is_ours = (
        address.startswith("/") and not address.startswith("//") and not parts.netloc and not parts.scheme
    )
    return address if is_ours and "\\" not in address and address.isprintable() else "/"
