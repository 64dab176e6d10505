"""Instants as BIGINT microseconds UTC behind one column type, since no two databases agree on dates.

Product time (`Instant`) is an argument called `now`; machine time (`MachineInstant`: leases, retries) is another
type, so that a stepping product clock never breaks a lease.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
DAY: Final = 86_400_000_000
AT_ONCE: Final = 0
"""As a `due_at`: before everything that a deadline made due, so that woken leads go first."""


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970 UTC of an aware instant; exact."""
    return (instant - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC instant of `to_micros`."""
    return EPOCH + timedelta(microseconds=micros)


def day_number(day: date) -> int:
    """Days since 1970-01-01; the form in which dates lie in the database."""
    return day.toordinal() - 719_163


def day_of(number: int) -> date:
    """The date of `day_number`."""
    return date.fromordinal(number + 719_163)


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant of product time, stored as microseconds.

    Integers pass through, for arithmetic in SQL.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ANN401, ARG002 - given
        """To microseconds; naive instants are refused by the subtraction."""
        return to_micros(value) if isinstance(value, datetime) else value

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - given
        """From microseconds."""
        return None if value is None else from_micros(int(value))

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:  # noqa: ANN401, ARG002 - given
        """Lengths of time are plain integers, instants are instants."""
        return BigInteger() if isinstance(value, int) else self


class MachineInstant(Instant):
    """An instant of the machine's own clock: leases, attempts, retries. Never compared with product time."""

    cache_ok = True
