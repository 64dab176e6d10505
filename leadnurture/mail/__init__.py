"""Hides how a planned message becomes a mail in somebody's inbox, and how a provider's events come back.

Compiling templates needs no database, so what does is imported only when it is first used: `check` stays
quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from leadnurture.mail.choice import make_provider
from leadnurture.mail.provider import (
    Accepted,
    Answer,
    Later,
    Mail,
    NotSent,
    Provider,
    Refused,
    Unknown,
)
from leadnurture.mail.rendering import Shown
from leadnurture.mail.templates import compile_templates

if TYPE_CHECKING:
    from leadnurture.mail.claim import next_sending
    from leadnurture.mail.delivery import Delivered, deliver, recover
    from leadnurture.mail.freeze import target_of
    from leadnurture.mail.inbound import inbound_reader, receive_inbound
    from leadnurture.mail.sendgrid_events import read_sendgrid_events, receive_sendgrid_events
    from leadnurture.mail.showing import invite_of, show

# No module bears the name of what it exports: importing it would hide the function behind the module.
_HOMES: Final = {
    "Delivered": "delivery",
    "deliver": "delivery",
    "inbound_reader": "inbound",
    "invite_of": "showing",
    "next_sending": "claim",
    "read_sendgrid_events": "sendgrid_events",
    "receive_inbound": "inbound",
    "receive_sendgrid_events": "sendgrid_events",
    "recover": "delivery",
    "show": "showing",
    "target_of": "freeze",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module has under that name
    """What needs the database, from the module that has it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found


__all__ = [
    "Accepted",
    "Answer",
    "Delivered",
    "Later",
    "Mail",
    "NotSent",
    "Provider",
    "Refused",
    "Shown",
    "Unknown",
    "compile_templates",
    "deliver",
    "inbound_reader",
    "invite_of",
    "make_provider",
    "next_sending",
    "read_sendgrid_events",
    "receive_inbound",
    "receive_sendgrid_events",
    "recover",
    "show",
    "target_of",
]
