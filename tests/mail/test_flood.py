"""Ten thousand events as they really come: twice, under new ids, shuffled, unknown, nobody's (I2)."""

import json
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from leadnurture.domain.agreement import EngagementRule
from leadnurture.domain.condition import Reacted
from leadnurture.domain.timing import Duration
from leadnurture.engine import judge
from leadnurture.inbox import work_off
from leadnurture.mail import read_sendgrid_events, receive_sendgrid_events
from tests.mail.scene import MACHINE, NOW, Scene, definitions
from tests.mail.test_sendgrid_events import PUBLIC, signed

MAILS = 400
EVENTS = 10_000
SECONDS = int(NOW.timestamp())
# What may become of a mail, in the order in which it happens.
FATES: tuple[tuple[tuple[str, dict[str, Any]], ...], ...] = (
    (("processed", {}), ("delivered", {}), ("open", {}), ("click", {"url": "https://x/1"})),
    (
        ("processed", {}),
        ("deferred", {"attempt": "1"}),
        ("delivered", {}),
        ("open", {"sg_machine_open": True}),
    ),
    (("processed", {}), ("deferred", {}), ("bounce", {"type": "blocked", "reason": "421 busy"})),
    (("processed", {}), ("bounce", {"type": "bounce", "reason": "550 no such user"})),
    (("processed", {}), ("delivered", {}), ("click", {"url": "https://x/2"}), ("unsubscribe", {})),
    (("processed", {}), ("delivered", {}), ("spamreport", {}), ("unsubscribe", {})),
    (("processed", {}), ("dropped", {"reason": "Spam Content"})),
    (("dropped", {"reason": "Bounced Address"}),),
    (("dropped", {"reason": "Unsubscribed Address"}),),
)


def told(rng: random.Random) -> list[dict[str, Any]]:
    """What happened to the mails 0, 1, 2 …, in order: their fates, and readers who come back to them."""
    happened: list[tuple[int | None, str, dict[str, Any]]] = [
        (mail, kind, more) for mail in range(MAILS) for kind, more in FATES[mail % len(FATES)]
    ]
    read = [mail for mail in range(MAILS) if any(kind == "open" for kind, _ in FATES[mail % len(FATES)])]
    while len(happened) < EVENTS * 100 // 130:
        chance = rng.random()
        if chance < 0.06:
            happened.append((rng.randrange(MAILS), "teleported", {}))
        elif chance < 0.085:
            happened.append((None, "open", {}))
        else:
            kind = rng.choice(("open", "click"))
            happened.append((rng.choice(read), kind, {"url": "https://x/1"} if kind == "click" else {}))
    return [
        {"event": kind, "timestamp": SECONDS + place, "sg_event_id": f"e{place}", "mail": mail} | more
        for place, (mail, kind, more) in enumerate(happened)
    ]


def about(events: list[dict[str, Any]], mails: list[int], prefix: str) -> list[dict[str, Any]]:
    """The same events of these mails, under ids of their own."""
    return [
        {name: value for name, value in event.items() if name != "mail"}
        | {"sg_event_id": prefix + event["sg_event_id"], "email": "ann@example.org"}
        | ({} if event["mail"] is None else {"leadnurture_message": str(mails[event["mail"]])})
        for event in events
    ]


def post(scene: Scene, events: list[dict[str, Any]], size: int) -> None:
    """Posts them, signed, reads what lies in the inbox, and judges the clicks."""
    for start in range(0, len(events), size):
        body = json.dumps(events[start : start + size]).encode()
        receive_sendgrid_events(scene.database, body, signed(body), PUBLIC, NOW)
    assert work_off(
        scene.database, {"sendgrid": read_sendgrid_events}, NOW, lambda: MACHINE, seconds=100
    ).is_done
    judge(scene.database, NOW + timedelta(hours=1))


def outcome(scene: Scene, mails: list[int], leads: list[int]) -> dict[str, Any]:
    """Everything that the events left about these mails, told without ids."""
    place = {one: index for index, one in enumerate(leads)}
    mail_place = {one: index for index, one in enumerate(mails)}
    keys = {scene.row("lead", one).email_key: index for one, index in place.items()}
    return {
        "reactions": sorted(
            (place[row.lead_id], mail_place[row.message_id], row.kind, row.argument or "", row.at)
            for row in scene.rows("reaction")
            if row.lead_id in place
        ),
        "statuses": {mail_place[row.id]: row.status for row in scene.rows("message") if row.id in mail_place},
        "suppressions": {
            keys[row.email_key]: row.reason for row in scene.rows("suppression") if row.email_key in keys
        },
        "points": sorted(
            (place[row.lead_id], row.rule, row.subject, row.points, row.begins_at, row.ends_at)
            for row in scene.rows("point")
            if row.lead_id in place
        ),
    }


@pytest.mark.slow
def test_a_flood_leaves_what_the_same_events_in_order_leave(scene: Scene) -> None:
    rules = tuple(
        EngagementRule(kind, Reacted(kind), points)  # type: ignore[arg-type] # a kind of reaction
        for kind, points in (("clicked", 3), ("opened", 1), ("delivered", 2))
    )
    agreements = tuple(
        replace(each, live=Duration(90, "days"), engagement=rules) for each in definitions().agreements
    )
    scene.apply(agreements=agreements)
    rng = random.Random(2026)
    statuses = ("sending", "unknown", "sent")

    def population(first: int) -> tuple[list[int], list[int]]:
        leads = [scene.lead(first + number) for number in range(MAILS)]
        mails = [scene.message(one) for one in leads]
        for number, one in enumerate(mails):
            attempt = {"attempt": 1, "attempt_at": NOW - timedelta(hours=1)}
            scene.change("message", one, status=statuses[number % 3], **attempt)
        return leads, mails

    leads, mails = population(0)
    other_leads, other_mails = population(1000)

    events = told(rng)
    post(scene, about(events, mails, "a"), 1_000)
    in_order = outcome(scene, mails, leads)
    kinds = Counter(reaction[2] for reaction in in_order["reactions"])
    assert set(kinds) == {"delivered", "opened", "clicked", "bounced", "complained", "unsubscribed"}
    assert set(in_order["statuses"].values()) == {"delivered", "deferred", "bounced", "complained", "failed"}
    assert set(in_order["suppressions"].values()) == {"unsubscribed", "bounced"}
    assert {point[1] for point in in_order["points"]} == {"clicked", "opened", "delivered"}

    flood = about(events, other_mails, "b")
    twice = rng.choices(flood, k=EVENTS * 20 // 130)
    anew = [
        each | {"sg_event_id": f"c{number}"}
        for number, each in enumerate(rng.choices(flood, k=EVENTS * 10 // 130))
    ]
    flood += twice + anew
    rng.shuffle(flood)
    before = len(scene.rows("inbox_item"))
    assert abs(len(flood) - EVENTS) < 20
    post(scene, flood, 337)

    assert outcome(scene, other_mails, other_leads) == in_order
    items = scene.rows("inbox_item")[before:]
    assert len(items) == len(events) + len(anew)  # each event once by its id, whatever it says
    told_of = Counter(row.outcome for row in items)
    assert told_of["unknown kind"] >= len(events) * 0.04
    assert told_of["not ours"] >= len(events) * 0.01
