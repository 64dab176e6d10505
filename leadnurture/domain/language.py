"""What the product itself says to a lead in his language: dates, hours, spans; and which locale he reads.

Two things to tell apart: a *locale* is one of those that the company declares, with templates of its own; a
*language* is one of those that the product speaks. In all others it says its dates in English.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final, Literal, NamedTuple

from leadnurture.domain.timing import Duration

Language = Literal["en", "de"]


class Words(NamedTuple):
    """The words of one language."""

    weekdays: tuple[str, ...]
    """Monday first."""
    months: tuple[str, ...]
    date: str
    weekday: str
    """A date with its weekday."""
    hours: str
    """From one hour to another."""
    hour: str
    place: str
    """On whose clock an hour is read."""
    units: dict[str, tuple[str, str]]
    """Of durations: one, and more than one."""
    cities: dict[str, str]
    """As this language names them, where it has a name of its own."""


SPOKEN: Final[dict[Language, Words]] = {
    "en": Words(
        weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        months=(
            "January", "February", "March", "April", "May", "June",
            "July", "August", "September", "October", "November", "December",
        ),
        date="{day} {month} {year}",
        weekday="{weekday} {date}",
        hours="{starts} to {ends}",
        hour="{starts}",
        place="{city} time",
        units={
            "minutes": ("minute", "minutes"), "hours": ("hour", "hours"), "days": ("day", "days"),
            "weeks": ("week", "weeks"), "months": ("month", "months"),
            "business days": ("business day", "business days"),
            "business hours": ("business hour", "business hours"),
        },
        cities={},
    ),
    "de": Words(
        weekdays=("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
        months=(
            "Januar", "Februar", "März", "April", "Mai", "Juni",
            "Juli", "August", "September", "Oktober", "November", "Dezember",
        ),
        date="{day}. {month} {year}",
        weekday="{weekday}, {date}",
        hours="{starts} bis {ends} Uhr",
        hour="{starts} Uhr",
        place="Ortszeit {city}",
        units={
            "minutes": ("Minute", "Minuten"), "hours": ("Stunde", "Stunden"), "days": ("Tag", "Tage"),
            "weeks": ("Woche", "Wochen"), "months": ("Monat", "Monate"),
            "business days": ("Arbeitstag", "Arbeitstage"),
            "business hours": ("Arbeitsstunde", "Arbeitsstunden"),
        },
        cities={
            "Athens": "Athen", "Belgrade": "Belgrad", "Brussels": "Brüssel", "Bucharest": "Bukarest",
            "Copenhagen": "Kopenhagen", "Lisbon": "Lissabon", "Luxembourg": "Luxemburg", "Moscow": "Moskau",
            "Prague": "Prag", "Rome": "Rom", "Singapore": "Singapur", "Vienna": "Wien", "Warsaw": "Warschau",
            "Zurich": "Zürich",
        },
    ),
}  # fmt: skip
OWN_NAMES: Final = {
    "cs": "Čeština", "da": "Dansk", "de": "Deutsch", "en": "English", "es": "Español", "fi": "Suomi",
    "fr": "Français", "hu": "Magyar", "it": "Italiano", "nb": "Norsk bokmål", "nl": "Nederlands",
    "no": "Norsk", "pl": "Polski", "pt": "Português", "ro": "Română", "sk": "Slovenčina", "sv": "Svenska",
}  # fmt: skip
"""How people who speak a language name it."""


class Reads(NamedTuple):
    """Whose language begins like this (`_` counts as `-`, capitals do not) reads that locale."""

    beginning: str
    """With a hyphen at its end, and so has the language: `de-at-` begins with `de-`, `deu-` does not."""
    locale: str


def readers(locales: Sequence[str]) -> tuple[Reads, ...]:
    """Who reads which of a company's locales: the first that fits. Whom none fits reads the first locale.

    One's own country comes first (`de-AT`), then any country of the same language.
    """
    exact = (Reads(f"{locale.casefold()}-", locale) for locale in sorted(locales, key=len, reverse=True))
    alike = (Reads(f"{base(locale)}-", locale) for locale in locales)
    return (*exact, *alike)


def locale_of(language: str, locales: Sequence[str]) -> str:
    """The locale that somebody of that language reads."""
    told = f"{language.strip().casefold().replace('_', '-')}-"
    return next((locale for beginning, locale in readers(locales) if told.startswith(beginning)), locales[0])


def base(locale: str) -> str:
    """`de` of `de-CH`."""
    return locale.partition("-")[0]


def language_of(locale: str) -> Language:
    """In which language the product speaks to who reads a locale."""
    return next((known for known in SPOKEN if known == base(locale)), "en")


def name_of(locale: str) -> str:
    """`Deutsch`, `Deutsch (CH)`: a locale as who reads it names it."""
    language, _, country = locale.partition("-")
    name = OWN_NAMES.get(language, language)
    return f"{name} ({country})" if country else name


def date_told(day: date, language: Language) -> str:
    """`8 December 2026`, `8. Dezember 2026`."""
    words = SPOKEN[language]
    return words.date.format(day=day.day, month=words.months[day.month - 1], year=day.year)


def weekday_told(day: date, language: Language) -> str:
    """`Tuesday 8 December 2026`, `Dienstag, 8. Dezember 2026`."""
    words = SPOKEN[language]
    return words.weekday.format(weekday=words.weekdays[day.weekday()], date=date_told(day, language))


def hours_told(starts: str, ends: str | None, language: Language) -> str:
    """`15:00 to 15:45`, `15:00 bis 15:45 Uhr`."""
    words = SPOKEN[language]
    return (words.hour if ends is None else words.hours).format(starts=starts, ends=ends)


def place_told(zone: str, language: Language) -> str:
    """`Vienna time`, `Ortszeit Wien`."""
    city = zone.rpartition("/")[2].replace("_", " ")
    words = SPOKEN[language]
    return city if city == "UTC" else words.place.format(city=words.cities.get(city, city))


def duration_told(duration: Duration, language: Language) -> str:
    """`45 minutes`, `1 Stunde`."""
    one, many = SPOKEN[language].units[duration.unit]
    return f"{duration.amount} {one if duration.amount == 1 else many}"
