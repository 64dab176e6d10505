"""Links: ids only, one salt per action, and nothing malformed ever raises."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadnurture.links import Choosing, Click, Leaving, Links, Seat

NOW = datetime(2026, 12, 8, 9, 0, tzinfo=UTC)
LINKS = Links("a secret", "https://news.example.com/")


def token(link: str) -> str:
    """The last part of a link."""
    return link.rpartition("/")[2]


def test_links_are_read_back() -> None:
    assert LINKS.click(7, "link").startswith("https://news.example.com/c/7~link.")
    assert LINKS.read_click(token(LINKS.click(7, "link"))) == Click(7, "link")
    assert LINKS.read_unsubscribe(token(LINKS.unsubscribe(3, 7))) == Leaving(3, 7)
    assert LINKS.read_unsubscribe(token(LINKS.unsubscribe(3))) == Leaving(3, None)
    assert LINKS.read_preferences(token(LINKS.preferences(3, 7))) == Choosing(3, 7)
    assert LINKS.read_preferences(token(LINKS.unsubscribe(3, 7))) is None
    assert LINKS.read_register(token(LINKS.register(7, "january"))) == Seat(7, "january")
    assert LINKS.read_decline(token(LINKS.decline(7, "január ~/."))) == Seat(7, "január ~/.")
    assert LINKS.read_handoff(token(LINKS.handoff(5, NOW)), NOW) == 5


ANSWERS = Links("a secret", "https://news.example.com/", "Reply@In.example.com")


def test_an_address_to_answer_to_is_read_back_whatever_becomes_of_its_capitals() -> None:
    address = ANSWERS.answer_address(12)
    assert address is not None
    name, _, domain = address.partition("@")
    assert (name[:9], domain) == ("Reply+12-", "In.example.com")
    assert len(name) <= 64
    for written in (address, address.upper(), address.lower(), f" {address} "):
        assert ANSWERS.read_answer_address(written) == 12


def test_an_address_that_we_did_not_sign_answers_nothing() -> None:
    address = ANSWERS.answer_address(12)
    assert address is not None
    others = Links("another secret", "https://news.example.com/", "reply@in.example.com")
    forged = [
        address.replace("+12-", "+13-"),
        address.replace("+", ""),
        "",
        "reply+12-@x",
        others.answer_address(12),
    ]
    assert [ANSWERS.read_answer_address(each or "") for each in forged] == [None] * 5
    assert LINKS.answer_address(12) is None


def test_a_rotated_secret_still_reads_the_addresses_that_it_signed() -> None:
    address = ANSWERS.answer_address(12)
    both = Links(["a secret", "a new secret"], "https://news.example.com/", "reply@in.example.com")
    assert both.read_answer_address(address or "") == 12
    assert both.answer_address(12) != (address or "").lower()


@given(st.text())
def test_reading_an_address_never_raises(address: str) -> None:
    assert ANSWERS.read_answer_address(address) is None


def test_no_link_does_anothers_work() -> None:
    readers = (LINKS.read_click, LINKS.read_unsubscribe, LINKS.read_register, LINKS.read_decline)
    tokens = [
        token(link)
        for link in (
            LINKS.click(1, "2"),
            LINKS.unsubscribe(1, 2),
            LINKS.register(1, "2"),
            LINKS.decline(1, "2"),
        )
    ]
    for number, one in enumerate(tokens):
        assert [reader(one) is not None for reader in readers] == [place == number for place in range(4)]
        assert LINKS.read_handoff(one, NOW) is None


def test_a_handoff_may_be_decided_for_fourteen_days() -> None:
    link = token(LINKS.handoff(5, NOW))
    assert LINKS.read_handoff(link, NOW + timedelta(days=14)) == 5
    assert LINKS.read_handoff(link, NOW + timedelta(days=14, seconds=1)) is None


def test_an_old_secret_is_read_while_secrets_rotate() -> None:
    rotated = Links(["a secret", "a new one"], "https://news.example.com")
    assert rotated.read_click(token(LINKS.click(7, "link"))) == Click(7, "link")
    assert LINKS.read_click(token(rotated.click(7, "link"))) is None


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_nothing_malformed_raises(text: str) -> None:
    for reader in (LINKS.read_click, LINKS.read_unsubscribe, LINKS.read_register, LINKS.read_decline):
        assert reader(text) is None
    assert LINKS.read_handoff(text, NOW) is None


@pytest.mark.parametrize("change", ["x", "~", "=", "\ud800", "\0", "é"])
def test_a_changed_token_is_no_link(change: str) -> None:
    whole = token(LINKS.click(7, "link"))
    assert LINKS.read_click(change + whole) is None
    assert LINKS.read_click(whole + change) is None


def test_a_network_is_marked_and_no_address_can_be_read_from_it() -> None:
    links = Links("secret", "https://news.example.com")
    mark = links.network("8.8.8.8")
    assert mark == links.network("8.8.8.200") == links.network("::ffff:8.8.8.1")
    assert mark is not None
    assert len(mark) == 16
    assert mark not in {links.network("8.8.9.8"), Links("other", "https://x.example").network("8.8.8.8")}
    assert links.network("2a00:1450:4001:800::1") == links.network("2a00:1450:4001:fff::2")
    for unknown in (
        None,
        "",
        "testclient",
        "127.0.0.1",
        "10.1.2.3",
        "192.168.1.1",
        "::1",
        "fd00::1",
        "169.254.1.1",
    ):
        assert links.network(unknown) is None
