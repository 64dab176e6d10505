"""Hides how a planned message becomes a mail in somebody's inbox, and how a provider's events come back."""

from leadnurture.mail.claim import next_sending
from leadnurture.mail.deliver import Delivered, deliver, recover
from leadnurture.mail.freeze import target_of
from leadnurture.mail.provider import (
    Accepted,
    Answer,
    Later,
    Mail,
    NotSent,
    Provider,
    Refused,
    Unknown,
    make_provider,
)
from leadnurture.mail.rendering import Shown
from leadnurture.mail.show import show
from leadnurture.mail.templates import compile_templates

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
    "make_provider",
    "next_sending",
    "recover",
    "show",
    "target_of",
]
