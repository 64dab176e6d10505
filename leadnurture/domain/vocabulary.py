"""The closed word lists of the product: one word for one thing in YAML, code, tables, URLs and pages."""

from typing import Final, Literal, get_args

Track = Literal["prospects", "clients"]
TRACKS: Final[tuple[Track, ...]] = get_args(Track)

ContentKind = Literal["webinar", "event", "article", "report", "blog", "email"]
CONTENT_KINDS: Final[tuple[ContentKind, ...]] = get_args(ContentKind)
SESSION_KINDS: Final = frozenset[ContentKind]({"webinar", "event"})

# The mails that whoever has a seat gets, by the folders of their templates; no content bears such a name.
SeatMail = Literal["seat-confirmation", "seat-reminder", "seat-moved", "seat-cancelled"]
SEAT_MAILS: Final[tuple[SeatMail, ...]] = get_args(SeatMail)

ReactionKind = Literal[
    "delivered", "opened", "clicked", "replied", "registered", "declined", "attended", "missed",
    "downloaded", "visited", "submitted", "feedback", "unsubscribed", "bounced", "complained",
]  # fmt: skip
REACTION_KINDS: Final[tuple[ReactionKind, ...]] = get_args(ReactionKind)
# What holds now between a lead and a session, wherever and whenever he did it.
STANDING_KINDS: Final = frozenset[ReactionKind]({"registered", "declined", "attended", "missed"})
# These end every enrollment, whatever the program says.
ENDING_KINDS: Final = frozenset[ReactionKind]({"unsubscribed", "bounced", "complained"})
# Suppressions by a reader's own will: he is asked for nothing any more. An address that bounces has not left.
LEFT: Final = frozenset({"unsubscribed", "complained", "imported"})
# Provider noise: it informs, it wakes nobody.
SILENT_KINDS: Final = frozenset[ReactionKind]({"opened", "delivered"})

Stage = Literal["new", "engaged", "qualified", "handed_off", "accepted", "opportunity", "won", "lost"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
# `lost` stands outside of the order: it is compared with == only.
ORDERED_STAGES: Final[tuple[Stage, ...]] = STAGES[:-1]
# Who is at one of these is one of the engaged people of his account.
ENGAGED_STAGES: Final[tuple[Stage, ...]] = ORDERED_STAGES[1:]

EnrollmentStatus = Literal["active", "paused", "completed", "reached", "exited", "undeliverable", "moved"]
HandoffStatus = Literal["open", "accepted", "returned", "withdrawn"]
MessageStatus = Literal[
    "planned", "sending", "unknown", "sent", "deferred", "delivered", "bounced", "complained",
    "failed", "cancelled",
]  # fmt: skip
MESSAGE_STATUSES: Final[tuple[MessageStatus, ...]] = get_args(MessageStatus)
# Status only moves to the right; failed and cancelled end it.
MESSAGE_ORDER: Final[tuple[MessageStatus, ...]] = MESSAGE_STATUSES[:8]
# A message in one of these may have reached its reader: it counts as had, it counts for the pace.
GONE_STATUSES: Final[tuple[MessageStatus, ...]] = MESSAGE_STATUSES[1:8]

# Why a step could not do what it says; readable as `why` in conditions.
Why = Literal[
    "empty", "had", "declined", "unwanted", "late", "held", "failed", "cancelled", "no_date", "refused"
]
WHYS: Final[tuple[Why, ...]] = get_args(Why)

FactKind = Literal["text", "number", "date", "flag"]
FACT_KINDS: Final[tuple[FactKind, ...]] = get_args(FactKind)
# What every lead and account has without being declared.
BUILT_IN_FACTS: Final[dict[str, FactKind]] = {
    "first_name": "text", "last_name": "text", "name": "text", "address": "text", "email": "text",
    "country": "text", "language": "text", "role": "text", "zone": "text", "source": "text",
    "account.name": "text", "account.domain": "text", "account.owner": "text", "account.deal_won": "flag",
}  # fmt: skip
END: Final = "end"
