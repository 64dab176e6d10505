"""Names of countries, from the list that comes with the time zones."""

import functools
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

# Where the list is shorter than people write it.
OURS: Final = {"GB": "United Kingdom", "KR": "South Korea", "KP": "North Korea"}


def country_told(country: str) -> str:
    """`Germany` for `DE`; what is no code of ISO 3166 stays as it is."""
    return OURS.get(country) or _names().get(country, country)


@functools.cache
def _names() -> Mapping[str, str]:
    lines = files("tzdata").joinpath("zoneinfo/iso3166.tab").read_text().splitlines()
    rows = (line.partition("\t") for line in lines if not line.startswith("#"))
    return {code: name for code, _, name in rows}
