import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leadnurture import access
from leadnurture.app import readers
from leadnurture.inbox import keep_for_now, replay, work_off
from tests.web.client import Client
from tests.web.conftest import KEY, NOW, ROOT, World

MACHINE = datetime(2031, 1, 1, tzinfo=UTC)
AUTHORISED = {"Authorization": f"Bearer {KEY}"}
ALL_EXAMPLES = re.findall(r"```json\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL)
OF_PLATFORMS = [example for example in ALL_EXAMPLES if '"data"' in example]
EXAMPLES = [example for example in ALL_EXAMPLES if example not in OF_PLATFORMS]


def tell(client: Client, path: str, told: object) -> Any:  # noqa: ANN401 - an answer of the test client
    return client.post(f"/api/{path}", json=told, headers=AUTHORISED)


# The key


WRONG_KEYS = [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {KEY}", f"Bearer {KEY}x", "Bearer ключ"]


@pytest.mark.parametrize("path", ["/api/leads", "/api/reactions"])
def test_without_the_key_nothing_is_taken(world: World, client: Client, path: str) -> None:
    for header in WRONG_KEYS:
        headers = {} if header is None else {b"Authorization": header.encode()}
        answer = client.post(path, json={"email": "new@example.com"}, headers=headers)
        assert answer.status_code == 401, header
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert len(world.rows("lead")) == 4


def test_an_empty_key_opens_nothing(world: World, client: Client) -> None:
    access.take_up_key(world.desk.database, "", "the tests", NOW)
    assert client.post("/api/leads", json=[], headers={"Authorization": "Bearer "}).status_code == 401


# What is told


@pytest.mark.parametrize("index", range(len(EXAMPLES)))
def test_every_example_of_the_documentation_works(world: World, client: Client, index: int) -> None:
    told = json.loads(EXAMPLES[index])
    if isinstance(told, dict) and "recorded" in told:
        assert set(told) == {"recorded", "duplicates", "problems"}
        return
    tell(client, "leads", {"email": "ann@example.com"})
    is_lead = isinstance(told, dict) and "kind" not in told
    answer = tell(client, "leads" if is_lead else "reactions", told)
    assert (answer.status_code, answer.json()["problems"]) == (200, [])
    assert world.rows("lead", email_key="ann@example.com")


def test_the_same_reaction_twice_is_recorded_once(world: World, client: Client) -> None:
    told = {"id": "web-1", "kind": "visited", "email": " Sverre@Example.com", "argument": "/pricing"}
    assert tell(client, "reactions", told).json()["recorded"] == 1
    assert tell(client, "reactions", [told]).json() == {"recorded": 0, "duplicates": 1, "problems": []}
    assert len(world.rows("reaction", lead_id=world.leads["sverre"])) == 1


def test_nothing_happened_after_it_was_told(world: World, client: Client) -> None:
    ahead, long_ago = NOW + timedelta(days=400), NOW - timedelta(days=4000)
    told = {"kind": "visited", "email": "sverre@example.com", "argument": "/pricing"}
    for key, at in (("1", ahead), ("2", ahead), ("3", ahead + timedelta(seconds=1)), ("4", long_ago)):
        tell(client, "reactions", told | {"id": key, "at": at.isoformat()})
    rows = world.rows("reaction", lead_id=world.leads["sverre"])
    assert [(row["key"], row["at"]) for row in rows] == [("api:1", NOW), ("api:3", NOW), ("api:4", long_ago)]


def test_a_consent_of_tomorrow_does_not_outlive_a_withdrawal_of_today(world: World, client: Client) -> None:
    ahead = NOW + timedelta(days=400)
    told = {"email": "ann@example.com", "consents": [{"purpose": "marketing", "given_at": ahead.isoformat()}]}
    tell(client, "leads", told)
    tell(client, "leads", {"email": "ann@example.com", "withdrawn": ["marketing"]})
    tell(client, "leads", told)
    (lead,) = world.rows("lead", email_key="ann@example.com")
    (row,) = world.rows("consent", lead_id=lead["id"])
    assert (row["given_at"], row["withdrawn_at"]) == (NOW, NOW)


def test_a_good_item_is_recorded_beside_bad_ones(world: World, client: Client) -> None:
    good = {"id": "1", "kind": "downloaded", "email": "sverre@example.com", "content": "downtime-costs"}
    told = [
        {"id": "0", "kind": "danced", "email": "sverre@example.com"},
        good,
        good | {"id": "2", "email": "nobody@example.com"},
        good | {"id": "3", "content": "downtime-cost"},
        good | {"id": "4", "kind": "registered", "content": "scaling-1", "session": "jannuary"},
        good | {"id": "5", "kind": "registered", "content": "scaling-1", "at": "2026-11-30T09:00:00+01:00"},
        good | {"id": "6", "at": "2026-12-08T15:04:05"},
        good | {"id": "7", "answer": "yes"},
        {"id": "8", "kind": "downloaded"},
        "nine",
        good | {"id": "10", "argument": "a\x00b"},
        {"id": "11", "kind": "visited", "email": "sverre@example.com"},
        good | {"id": "12", "if_free": True},
    ]
    answer = tell(client, "reactions", told)
    assert answer.status_code == 207
    assert answer.json()["recorded"] == 1
    said = [(p["item"], p["at"], f"{p['problem']}; {p['remedy']}") for p in answer.json()["problems"]]
    assert [(item, at) for item, at, _ in said] == [
        (0, ""), (2, "email"), (3, "content"), (4, "session"), (5, "session"), (6, "at"), (7, "answer"),
        (8, ""), (9, ""), (10, "argument"), (11, ""), (12, ""),
    ]  # fmt: skip
    assert "add `email`, `crm_id` or `keys`" in said[7][2]
    assert 'did you mean "downtime-costs"?' in said[2][2]
    assert 'did you mean "january"?' in said[3][2]
    assert "say which: december, january" in said[4][2]
    assert len(world.rows("reaction", lead_id=world.leads["sverre"])) == 1


def test_a_lead_is_told_of_by_any_address_or_id_of_his(world: World, client: Client) -> None:
    lead = {
        "email": "new@example.com",
        "crm_id": "17",
        "addresses": ["n.ew@example.com"],
        "keys": {"zoom": "z1"},
    }
    assert tell(client, "leads", lead).status_code == 200
    told = [
        {"id": "1", "kind": "visited", "argument": "/a", "email": "N.EW@example.com"},
        {"id": "2", "kind": "visited", "argument": "/b", "crm_id": "17"},
        {"id": "3", "kind": "visited", "argument": "/c", "keys": {"zoom": "z1"}},
        {
            "id": "4",
            "kind": "visited",
            "argument": "/d",
            "email": "nobody@example.com",
            "keys": {"Zoom": "z1"},
        },
        {"id": "5", "kind": "deal_won", "crm_id": "17"},
        {"id": "6", "kind": "visited", "argument": "/e", "keys": {"zoom": "z2"}},
    ]
    answer = tell(client, "reactions", told)
    assert (answer.status_code, answer.json()["recorded"]) == (207, 5)
    assert [(fault["id"], fault["problem"]) for fault in answer.json()["problems"]] == [
        ("6", "no lead has this address or id")
    ]
    (known,) = world.rows("lead", email_key="new@example.com")
    assert len(world.rows("reaction", lead_id=known["id"], kind="visited")) == 4
    assert tell(client, "leads", {"email": "n.ew@example.com", "last_name": "Wu"}).status_code == 200
    assert [row["last_name"] for row in world.rows("lead", crm_id="17")] == ["Wu"]


def test_when_no_item_is_taken_the_answer_is_422(world: World, client: Client) -> None:
    answer = tell(client, "reactions", {"id": "x", "kind": "replied", "email": "nobody@example.com"})
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["remedy"] == "tell of the lead by POST /api/leads first"
    assert len(world.rows("reaction")) == 6


NO_JSON = [
    b"",
    b"{",
    b"[1,",
    b"\xff\xfe",
    b'{"a": NaN}',
    b"[" * 100_000,
    b'{"id": "\\ud800", "kind": "replied"}',
]


@pytest.mark.parametrize("path", ["leads", "reactions"])
def test_a_body_that_is_no_json_is_refused(world: World, client: Client, path: str) -> None:
    before = world.everything()
    for body in NO_JSON:
        answer = client.post(f"/api/{path}", content=body, headers=AUTHORISED)
        assert answer.status_code == 422, body[:20]
        assert "JSON" in answer.text
    assert world.everything() == before


def test_too_many_items_are_refused(client: Client) -> None:
    assert "at most 5,000" in tell(client, "reactions", [0] * 5001).json()["error"]


def test_a_deal_that_was_won_is_told_once(world: World, client: Client) -> None:
    told = {"id": "deal-1", "kind": "deal_won", "email": "sverre@example.com", "value": 48000}
    assert tell(client, "reactions", told).json()["recorded"] == 1
    assert tell(client, "reactions", told).json()["duplicates"] == 1
    (deal,) = world.rows("deal")
    assert (deal["lead_id"], deal["status"], deal["value"]) == (world.leads["sverre"], "won", 48000)


SEAT: dict[str, object] = {"kind": "registered", "content": "scaling-1", "session": "january"}


def test_who_asks_for_a_seat_that_is_not_there_is_told_so(world: World, client: Client) -> None:
    world.only(1)
    asked = [
        SEAT | {"id": name, "email": f"{name}@example.com", "if_free": True} for name in ("ingrid", "sverre")
    ]
    answer = tell(client, "reactions", asked)
    assert (answer.status_code, answer.json()["recorded"]) == (207, 1)
    assert answer.json()["problems"] == [
        {
            "item": 1,
            "at": "session",
            "problem": 'no seat is left in "january"',
            "remedy": "offer another date: march, may",
            "id": "sverre",
        }
    ]
    assert [row["lead_id"] for row in world.rows("standing")] == [world.leads["ingrid"]]
    again = tell(client, "reactions", asked)
    assert (again.status_code, again.json()["recorded"], again.json()["duplicates"]) == (207, 0, 1)
    tell(client, "reactions", SEAT | {"id": "back", "email": "ingrid@example.com", "kind": "declined"})
    assert tell(client, "reactions", asked[1]).status_code == 422, "the same id gets the same answer"
    assert tell(client, "reactions", asked[1] | {"id": "anew"}).status_code == 200


def test_a_refusal_stays_one_when_its_post_is_read_again(world: World, client: Client) -> None:
    world.only(0)
    tell(client, "reactions", SEAT | {"id": "1", "email": "ingrid@example.com", "if_free": True})
    assert [row["status"] for row in world.rows("inbox")] == ["done"]
    assert [row["outcome"] for row in world.rows("inbox_item")] == ["full"]
    world.only(1)
    replay(world.desk.database)
    assert work_off(world.desk.database, readers(world.desk.links), NOW, lambda: MACHINE).posts == 1
    assert world.rows("standing") == []


def test_a_seat_that_somebody_has_elsewhere_is_recorded_though_none_is_left(
    world: World, client: Client
) -> None:
    world.only(1)
    told = [SEAT | {"id": name, "email": f"{name}@example.com"} for name in ("ingrid", "sverre")]
    assert tell(client, "reactions", told).json()["recorded"] == 2
    assert len(world.rows("standing", kind="registered")) == 2


def test_without_a_session_the_one_that_can_be_meant_is_meant(world: World, client: Client) -> None:
    """December alone is over, so who attended means it; later May alone is ahead for who registers."""
    told = {"id": "1", "kind": "attended", "content": "scaling-1", "email": "sverre@example.com"}
    assert tell(client, "reactions", told).status_code == 200
    told |= {"id": "2", "kind": "registered", "email": "ingrid@example.com"}
    answer = tell(client, "reactions", told)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["remedy"] == "say which: january, march, may"
    world.desk.now = datetime(2027, 4, 1, tzinfo=UTC)
    assert tell(client, "reactions", told).status_code == 200
    found = {(row["lead_id"], row["kind"], row["session"]) for row in world.rows("standing")}
    assert found == {
        (world.leads["sverre"], "attended", "december"),
        (world.leads["ingrid"], "registered", "may"),
    }
    assert world.rows("message", occasion="confirmation", session="may", lead_id=world.leads["ingrid"])


def test_closing_an_attendance_list_tells_who_came_and_who_did_not(world: World, client: Client) -> None:
    told = [SEAT | {"id": name, "email": f"{name}@example.com"} for name in ("ingrid", "sverre")]
    list_ = {
        "kind": "attendance",
        "content": "scaling-1",
        "session": "january",
        "attended": ["sverre@example.com"],
    }
    early = tell(client, "reactions", [*told, list_])
    assert (early.status_code, early.json()["recorded"]) == (207, 2)
    assert [(each["item"], each["at"]) for each in early.json()["problems"]] == [(2, "session")]
    world.desk.now = NOW + timedelta(days=60)
    assert tell(client, "reactions", list_).status_code == 200
    standing = {row["lead_id"]: row["kind"] for row in world.rows("standing")}
    assert standing == {world.leads["ingrid"]: "missed", world.leads["sverre"]: "attended"}


def test_a_lead_is_created_and_changed_by_its_address(world: World, client: Client) -> None:
    tell(client, "leads", {"email": "Ann@Example.com", "first_name": "Ann", "tags": ["partner"]})
    tell(
        client, "leads", [{"email": "ann@example.com", "role": "head", "facts": {"budget_on": "2027-03-01"}}]
    )
    (lead,) = world.rows("lead", email_key="ann@example.com")
    assert (lead["first_name"], lead["role"]) == ("Ann", "head")
    assert [row["tag"] for row in world.rows("lead_tag", lead_id=lead["id"])] == ["partner"]
    assert len(world.rows("lead_fact", lead_id=lead["id"])) == 1


def test_consent_is_kept_with_its_proof(world: World, client: Client) -> None:
    consent = {"purpose": "marketing", "given_at": NOW.isoformat(), "source": "form", "wording": "Yes"}
    tell(client, "leads", {"email": "ann@example.com", "consents": [consent]})
    (lead,) = world.rows("lead", email_key="ann@example.com")
    (row,) = world.rows("consent", lead_id=lead["id"])
    assert (row["given_at"], row["wording"]) == (NOW, "Yes")
    tell(client, "leads", {"email": "ann@example.com", "withdrawn": ["marketing"]})
    assert world.rows("consent", lead_id=lead["id"])[0]["withdrawn_at"] == NOW


UNUSABLE: list[tuple[dict[str, object], str, str]] = [
    ({"email": "no address"}, "email", "correct it and send the item again"),
    (
        {"email": "ann@example.com", "facts": {"budget_no": "2027-03-01"}},
        "facts.budget_no",
        'did you mean "budget_on"?',
    ),
    (
        {"email": "ann@example.com", "facts": {"budget_on": "soon"}},
        "facts.budget_on",
        'send a date, like "2026-12-08"',
    ),
    (
        {"email": "ann@example.com", "facts": {"account.employees": True}},
        "facts.account.employees",
        "send a number, like 200",
    ),
    (
        {"email": "ann@example.com", "facts": {"account.churned": "NO"}},
        "facts.account.churned",
        "send true or false",
    ),
    (
        {"email": "ann@example.com", "frist_name": "Ann"},
        "frist_name",
        "leave it out, or correct its name",
    ),
    (
        {"email": "ann@example.com", "first_name": "A\nnn\x07"},
        "first_name",
        "correct it and send the item again",
    ),
    ({"email": "ann@example.com", "owner": "norra"}, "owner", 'did you mean "nora"?'),
]


def test_a_lead_that_cannot_be_used_comes_back_with_place_and_remedy(world: World, client: Client) -> None:
    for told, at, remedy in UNUSABLE:
        answer = tell(client, "leads", told)
        assert answer.status_code == 422
        assert [(p["at"], p["remedy"]) for p in answer.json()["problems"]] == [(at, remedy)]
    assert len(world.rows("lead")) == 4


def test_a_telling_with_an_id_is_used_once(world: World, client: Client) -> None:
    first = {"id": "crm-1", "email": "ann@example.com", "role": "manager"}
    later = {"id": "crm-2", "email": "ann@example.com", "role": "head"}
    for told in (first, later):
        assert tell(client, "leads", told).json()["recorded"] == 1
    assert tell(client, "leads", first).json() == {"recorded": 0, "duplicates": 1, "problems": []}
    assert world.rows("lead", email_key="ann@example.com")[0]["role"] == "head"


def test_markup_and_formulas_are_kept_as_they_are(world: World, client: Client) -> None:
    tell(
        client,
        "leads",
        {"email": "ann@example.com", "first_name": "=HYPERLINK(1)", "last_name": "<b>'; DROP TABLE lead"},
    )
    (lead,) = world.rows("lead", email_key="ann@example.com")
    assert (lead["first_name"], lead["last_name"]) == ("=HYPERLINK(1)", "<b>'; DROP TABLE lead")


# Kept before it is read


def test_a_call_is_kept_as_it_came(world: World, client: Client) -> None:
    body = b'[{"id": "1", "kind": "replied",  "email": "sverre@example.com"}, 7]'
    assert client.post("/api/reactions", content=body, headers=AUTHORISED).status_code == 207
    assert client.post("/api/reactions", content=b"[7]", headers=AUTHORISED).status_code == 422
    posts = [(row["source"], row["body"], row["status"]) for row in world.rows("inbox")]
    assert posts == [("reactions", body, "done"), ("reactions", b"[7]", "unusable")]
    assert [(row["key"], row["kind"]) for row in world.rows("inbox_item")] == [("1", "replied")]


@pytest.mark.parametrize(
    ("source", "told", "table"),
    [
        ("reactions", {"id": "1", "kind": "replied", "email": "sverre@example.com"}, "reaction"),
        ("leads", {"email": "ann@example.com"}, "lead"),
    ],
)
def test_what_was_kept_when_the_process_died_is_read_by_another(
    world: World, source: str, told: dict[str, str], table: str
) -> None:
    before = len(world.rows(table))
    database = world.desk.database
    keep_for_now(database, source, json.dumps(told).encode(), NOW, MACHINE)
    read = readers(world.desk.links)
    assert work_off(database, read, NOW, lambda: MACHINE).posts == 0  # it may still be at it
    assert work_off(database, read, NOW, lambda: MACHINE + timedelta(hours=1)).posts == 1
    assert len(world.rows(table)) == before + 1


def test_a_replay_does_not_undo_what_was_told_later(world: World, client: Client) -> None:
    for role in ("manager", "head"):
        tell(client, "leads", {"email": "ann@example.com", "role": role})
    replay(world.desk.database)
    assert work_off(world.desk.database, readers(world.desk.links), NOW, lambda: MACHINE).posts == 2
    assert world.rows("lead", email_key="ann@example.com")[0]["role"] == "head"
