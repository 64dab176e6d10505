"""How often passwords may be tried: each failure makes the next attempt wait longer, from where it came.

One idea to hold: nothing is counted by a name alone. Whoever tries somebody else's name is slowed down where
he is, by his network and that name; the owner of the name, elsewhere or in a browser in which he was signed
in before, tries as if nothing had happened. An attempt is counted before the password is looked at, so that
many at once are no more than many after each other. All in machine time.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, select, text, update

from leadnurture.store.instants import to_micros
from leadnurture.store.tables import metadata

ATTEMPT: Final = metadata.tables["sign_in_attempt"]
FREE: Final = 5
"""So many failures by the same name cost nothing."""
FREE_OF_NETWORK: Final = 30
LONGEST_WAIT: Final = timedelta(minutes=5)
FORGOTTEN: Final = timedelta(hours=1)
"""After so long without an attempt."""
IPV6_NETWORK: Final = 64
"""An address of version 6 is a whole house's."""
BEGIN: Final = text("""
    INSERT INTO sign_in_attempt (bucket, failures, free_at, last_at) VALUES (:bucket, 0, 0, :now)
    ON CONFLICT (bucket) DO NOTHING""")


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where failures are counted together."""

    key: str
    free: int
    is_own: bool
    """Of one name; emptied when the password fits."""


def buckets(name: str, address: str, browser: str | None) -> tuple[Bucket, ...]:
    """Those of an attempt; `browser` is one in which the name's owner was signed in before."""
    if browser is not None:
        return (Bucket(_key("browser", browser, name), FREE, is_own=True),)
    network = _network(address)
    own = Bucket(_key("network", network, name), FREE, is_own=True)
    return tuple(sorted((own, Bucket(_key("network", network), FREE_OF_NETWORK, is_own=False)), key=_by_key))


def of_account(user_id: int) -> tuple[Bucket, ...]:
    """That of somebody who is signed in and gives his password once more."""
    return (Bucket(_key("account", str(user_id)), FREE, is_own=True),)


def count(connection: Connection, tried: Sequence[Bucket], machine_now: datetime) -> timedelta | None:
    """Counts an attempt, as a failure so far; how long to wait instead, where it comes too soon."""
    connection.execute(delete(ATTEMPT).where(ATTEMPT.c.last_at < machine_now - FORGOTTEN))
    failures: dict[str, int] = {}
    wait = timedelta()
    for bucket in tried:
        connection.execute(BEGIN, {"bucket": bucket.key, "now": to_micros(machine_now)})
        row = connection.execute(
            select(ATTEMPT).where(ATTEMPT.c.bucket == bucket.key).with_for_update()
        ).one()
        failures[bucket.key] = row.failures + 1
        wait = max(wait, row.free_at - machine_now)
    if wait > timedelta():
        return wait
    for bucket in tried:
        values = {
            "failures": failures[bucket.key],
            "free_at": machine_now + wait_after(failures[bucket.key], bucket.free),
            "last_at": machine_now,
        }
        connection.execute(update(ATTEMPT).where(ATTEMPT.c.bucket == bucket.key).values(values))
    return None


def take_back(connection: Connection, tried: Sequence[Bucket], machine_now: datetime) -> None:
    """The password did fit: the name's own failures are forgotten, of the network's only this one."""
    for bucket in tried:
        is_it = ATTEMPT.c.bucket == bucket.key
        if bucket.is_own:
            connection.execute(delete(ATTEMPT).where(is_it))
        else:
            values = {"failures": ATTEMPT.c.failures - 1, "free_at": machine_now}
            connection.execute(update(ATTEMPT).where(is_it).values(values))


def wait_after(failures: int, free: int) -> timedelta:
    """1, 2, 4 seconds and so on, once there were `free` of them; never longer than five minutes."""
    if failures < free:
        return timedelta()
    return min(timedelta(seconds=2 ** min(failures - free, 20)), LONGEST_WAIT)


def _by_key(bucket: Bucket) -> str:
    """Locks are taken in one order."""
    return bucket.key


def _key(*parts: str) -> str:
    """A hash: what people type as their name is at times their password."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _network(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, IPV6_NETWORK), strict=False))
    return str(ip)
