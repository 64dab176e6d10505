"""Who may do what: the roles of the people who sign in, and the scopes of the keys that systems show."""

from typing import Final, Literal, get_args

Role = Literal["viewer", "marketer", "sales", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

Needed = Literal["viewer", "marketer", "sales", "admin", "marketer or sales"]
"""What a page asks of whoever comes."""

Scope = Literal["leads", "reactions", "read"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)


def may(role: Role, needed: Needed) -> bool:
    """Whether a role is enough where one is needed: everybody views, an admin may do all."""
    return needed == "viewer" or role == "admin" or role in needed.split(" or ")
