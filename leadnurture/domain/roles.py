"""Who may do what: the roles of the people who sign in, and the scopes of the keys that systems show."""

from typing import Final, Literal, get_args

Role = Literal["viewer", "marketer", "sales", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

Scope = Literal["leads", "reactions", "read"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)


def may(role: Role, needed: Role) -> bool:
    """Whether a role is enough where one is needed: everybody views, an admin may do all."""
    return needed in {"viewer", role} or role == "admin"
