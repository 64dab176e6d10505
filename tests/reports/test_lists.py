from collections.abc import Iterable
from functools import partial

import pytest

from leadnurture.domain.words import prefixes_of, words_of
from leadnurture.reports import LeadRow, leads, lists, outbox
from leadnurture.store import Database
from tests.profile.rows import add_account, add_enrollment, add_lead, add_message, apply


def three_leads(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        account_id = add_account(connection)
        ann = add_lead(connection, "Ann One", account_id=account_id, stage="engaged")
        add_lead(connection, "Ben Two", account_id=account_id, track="clients")
        add_lead(connection, "Cyd O'Three_%", score=60)
        enrollment_id = add_enrollment(connection, ann, "scaling-series", "invite")
        add_message(connection, enrollment_id, ann, "invite", variant="plain")
        add_message(connection, enrollment_id, ann, "letter", status="planned", content="gone", sent_at=None)


def names(rows: Iterable[LeadRow]) -> list[str]:
    return [row.name for row in rows]


def test_leads_are_found_by_words_in_name_address_and_account(database: Database) -> None:
    three_leads(database)
    with database.read() as connection:
        find = partial(leads, connection)
        assert names(find(search="FJELL one")) == ["Ann One"]
        assert names(find(search="Añn.one@exam")) == ["Ann One"]
        assert names(find(search="ben.two@", track="clients")) == ["Ben Two"]
        assert names(find(search="O'Three")) == names(find(search="three")) == ["Cyd O'Three_%"]
        assert find(search="nobody' OR 1=1") == find(search="ne") == find(search="_%") == ()


def test_an_accent_or_a_capital_keeps_nobody_from_being_found() -> None:
    assert prefixes_of(" MÜLL  ßa _% Dr. ") == ("mull", "ssa", "dr")
    assert words_of("Müller-Lüdenscheid O'Hara") == {
        "muller-ludenscheid", "muller", "ludenscheid", "o'hara", "o", "hara"
    }  # fmt: skip


def test_filters_narrow_the_leads(database: Database) -> None:
    three_leads(database)
    with database.read() as connection:
        assert names(leads(connection, track="clients")) == ["Ben Two"]
        assert names(leads(connection, stage="engaged")) == ["Ann One"]
        assert names(leads(connection, least=50)) == ["Cyd O'Three_%"]
        assert leads(connection, program="scaling-series", search="cyd") == ()
        (ann,) = leads(connection, program="scaling-series")
    assert (ann.name, ann.account, ann.programs) == ("Ann One", "Fjellheim Kraft", ("scaling-series",))


def test_a_page_begins_where_the_last_one_ended(database: Database) -> None:
    three_leads(database)
    with database.read() as connection:
        first = leads(connection, limit=1)
        second = leads(connection, limit=1, before=first[-1].place)
        assert leads(connection, before=second[-1].place) == ()
        mails = outbox(connection, limit=1, before=outbox(connection, limit=1)[0].id)
    assert names((*first, *second)) == ["Cyd O'Three_%", "Ann One"]
    assert [mail.step for mail in mails] == ["invite"]


@pytest.mark.parametrize("few", [0, 2_000])
def test_what_few_have_and_what_many_have_is_found_alike(
    database: Database, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    three_leads(database)
    monkeypatch.setattr(lists, "FEW", few)
    with database.read() as connection:
        assert names(leads(connection, search="fj ann")) == ["Ann One"]
        assert names(leads(connection, search="example")) == ["Cyd O'Three_%", "Ann One"]
        assert names(leads(connection, search="example", program="scaling-series")) == ["Ann One"]
        assert names(leads(connection, search="example", stage="engaged", least=0)) == ["Ann One"]


def test_the_outbox_shows_mails_newest_first(database: Database) -> None:
    three_leads(database)
    with database.read() as connection:
        planned, sent = outbox(connection)
        assert outbox(connection, status="sent") == (sent,)
        assert outbox(connection, program="quiet-client") == ()
    assert (sent.name, sent.title, sent.variant, sent.status) == (
        "Ann One",
        "Scaling without downtime",
        "plain",
        "sent",
    )
    assert (planned.title, planned.sent_at, planned.is_rendered) == ("gone", None, False)
