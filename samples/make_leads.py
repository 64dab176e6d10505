"""Writes leads.csv: 1,000 invented people of 150 invented companies, as untidy as a real export.

The seed is fixed, so every run writes the same bytes: python samples/make_leads.py
"""
# ruff: noqa: E501, INP001, PLR2004, RUF001, S311
# A script beside its data, long tables of words, a dotless i in a name, shares, chance that is no secret.

import csv
import random
import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

SEED = 2026
PEOPLE = 1000
COMPANIES = 150
CLIENTS = 30
DUPLICATES = 20
TODAY = date(2026, 11, 20)

COLUMNS = [
    "email",
    "first name",
    "last name",
    "company",
    "employees",
    "industry",
    "role",
    "country",
    "language",
    "time zone",
    "source",
    "tags",
    "consent",
    "consent source",
    "consent at",
    "interests",
    "attended",
    "products",
    "deal won",
    "churned",
    "account manager",
    "crm id",
    "budget on",
    "contract ends on",
]
Row = dict[str, str]

FIRST = {
    "DE": "Anna Jürgen Sabine Björn Käthe Lukas Mira Thomas Ulrike Jörg Heike Stefan Aylin Götz Nele Karl-Heinz",
    "AT": "Elisabeth Franz Verena Günther Magdalena Leopold Jasmin Florian",
    "CH": "Urs Regula Beat Céline Reto Noëmi Lorenzo Chiara",
    "GB": "Oliver Priya Hamish Charlotte Nigel Zara Siobhán Owen",
    "NO": "Ingrid Øyvind Sverre Maja Håkon Solveig",
    "NL": "Joost Femke Ruben Anouk Sjoerd Lotte",
    "FR": "Hélène François Maëlle Benoît Aurélie Loïc",
    "FI": "Päivi Jukka Aino Mikko",
    "US": "Madison Tyrone Grace Carlos Emily Jamal",
    "SG": "Wei Ling Arjun Hui Min",
}
LAST = {
    "DE": "Vogel Müller Schäfer Weiß Krüger Hoffmann Yılmaz Großmann Lehmann Böhm Petersen Roth Zimmermann Köhler Brandt",
    "AT": "Hofer Grünwald Steiner Pichler Mayrhofer Süß",
    "CH": "Rüegg Bernasconi Zürcher Aebi Favre Müller-Frei",
    "GB": "O'Neill Patel MacLeod Whitfield D'Arcy Hughes Okafor",
    "NO": "Solheim Haugland Brekke Ødegård Nygård Lie",
    "NL": "van-der-Berg de-Vries Janssen Bakker Visser 't-Hart",
    "FR": "Lefèvre D'Hauteville Moreau Gauthier Brûlé Noël",
    "FI": "Mäkinen Järvinen Nieminen Hämäläinen",
    "US": "Johnson Rodríguez O'Brien Washington Lee Kowalski",
    "SG": "Tan Lim Chandra Ng",
}
ZONES = {
    "DE": "Europe/Berlin",
    "AT": "Europe/Vienna",
    "CH": "Europe/Zurich",
    "GB": "Europe/London",
    "NO": "Europe/Oslo",
    "NL": "Europe/Amsterdam",
    "FR": "Europe/Paris",
    "FI": "Europe/Helsinki",
    "US": "America/New_York",
    "SG": "Asia/Singapore",
}
SPELLINGS = {"DE": ["Germany", "de", "Deutschland"], "GB": ["UK", "gb"], "US": ["USA"], "AT": ["Austria"]}
BROKEN_ZONES = ["CET+1", "Mitteleuropa", "Europe/Frankfurt", "GMT+25", "(UTC+01:00) Berlin"]
FREE_MAIL = ["gmail.com", "gmx.de", "web.de", "outlook.com"]
STEMS = [
    "Fjell",
    "Nord",
    "Süd",
    "Hafen",
    "Wald",
    "Stein",
    "Licht",
    "Kupfer",
    "Eichen",
    "Brücken",
    "Rhein",
    "Alpen",
    "Küsten",
    "Falken",
    "Silber",
    "Mühlen",
    "Quell",
    "Turm",
    "Berg",
    "Seen",
]
TRADES = {
    "energy": ["kraft Energie", "strom", "wind Power"],
    "finance": ["bank", "Versicherung", "Kapital"],
    "logistics": ["Logistik", "fracht", "Spedition"],
    "manufacturing": ["werk", "Maschinenbau", "Präzision"],
    "retail": ["markt", "Handel"],
    "software": ["soft", "Systems"],
    "public": ["Stadtwerke", "Verwaltung"],
    "health": ["klinik", "Medizintechnik"],
}
LEGAL = ["GmbH", "AG", "SE", "GmbH & Co. KG", "Ltd", "AS", "B.V."]
WEBINARS = ["scaling-1", "migration-1", "security-1"]


@dataclass(frozen=True)
class Company:
    """One account with what all of its people share."""

    name: str
    domain: str
    country: str
    employees: int
    industry: str
    products: str
    churned: bool
    manager: str
    contract_ends_on: date | None

    @property
    def is_won(self) -> bool:
        """Whether the account has ever bought."""
        return bool(self.products)


def plain(text: str) -> str:
    """ASCII for addresses: Jürgen becomes juergen, O'Neill oneill."""
    for letter, letters in {
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "ß": "ss",
        "ø": "oe",
        "å": "aa",
        "ı": "i",
    }.items():
        text = text.lower().replace(letter, letters)
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(c for c in ascii_text if c.isalnum() or c == "-").strip("-")


def day(rng: random.Random, first: date, last: date) -> date:
    """A day between two days, both included."""
    return first + timedelta(days=rng.randrange((last - first).days + 1))


def make_companies(rng: random.Random) -> list[Company]:
    """The first CLIENTS of them have bought, the last two of those have left again."""
    names: dict[str, str] = {}
    while len(names) < COMPANIES:
        industry = rng.choice(list(TRADES))
        trade = rng.choice(TRADES[industry])
        stem = rng.choice(STEMS)
        names.setdefault(f"{stem} {trade}" if trade[0].isupper() else f"{stem}{trade}", industry)
    return [
        make_company(rng, number, name, industry) for number, (name, industry) in enumerate(names.items())
    ]


def make_company(rng: random.Random, number: int, name: str, industry: str) -> Company:
    """One company; the first CLIENTS numbers are clients."""
    is_client = number < CLIENTS
    country = rng.choices(list(ZONES), weights=[62, 9, 7, 6, 4, 4, 3, 2, 2, 1])[0]
    size = rng.choices([12, 45, 120, 260, 700, 1800, 6500], weights=[6, 14, 24, 22, 18, 11, 5])[0]
    products = (
        rng.choices(["platform", "platform; monitoring", "services"], weights=[66, 20, 14])[0]
        if is_client
        else ""
    )
    owner = ("nora@example.com" if number % 2 else "paul@example.com") if is_client else ""
    if not is_client and rng.random() < 0.08:
        owner = "lena@example.com"
    ends = day(rng, date(2027, 1, 31), date(2028, 6, 30)) if is_client and rng.random() < 0.75 else None
    return Company(
        name=f"{name} {rng.choice(LEGAL)}",
        domain=f"{plain(name.replace(' ', '-'))}.example",
        country=country,
        employees=size + rng.randrange(size),
        industry=industry,
        products=products,
        churned=CLIENTS - 2 <= number < CLIENTS,
        manager="" if number == 3 else owner,
        contract_ends_on=ends,
    )


def make_person(rng: random.Random, company: Company, taken: set[str]) -> Row:
    """One tidy row, its address not in `taken` yet."""
    is_client = company.is_won and not company.churned
    country = company.country if rng.random() < 0.94 else rng.choice(list(ZONES))
    first = rng.choice(FIRST[country].split())
    last = (
        rng.choice(LAST[country].split())
        .replace("van-der-", "van der ")
        .replace("de-V", "de V")
        .replace("'t-H", "'t H")
    )
    row = dict.fromkeys(COLUMNS, "")
    row |= {"email": make_address(rng, first, last, company, taken), "first name": first, "last name": last}
    row |= make_company_cells(company) | make_person_cells(rng, country)
    row |= make_consent(rng, 0.95 if is_client else 0.87)
    row |= make_client_cells(rng, company) if is_client else make_prospect_cells(rng)
    return row


def make_address(rng: random.Random, first: str, last: str, company: Company, taken: set[str]) -> str:
    """An address of the company, or now and then a free one."""
    is_private = not company.is_won and rng.random() < 0.04
    local, domain = f"{plain(first)}.{plain(last)}", company.domain
    if is_private:
        local, domain = f"{local}.invented{rng.randrange(1000, 9999)}", rng.choice(FREE_MAIL)
    address, number = f"{local}@{domain}", 2
    while address in taken:
        address, number = f"{local}{number}@{domain}", number + 1
    taken.add(address)
    return address


def make_company_cells(company: Company) -> Row:
    """What the account says, the same in all of its rows."""
    return {
        "company": company.name,
        "employees": str(company.employees),
        "industry": company.industry,
        "products": company.products,
        "deal won": "yes" if company.is_won else "",
        "churned": "yes" if company.churned else "",
        "account manager": company.manager,
        "contract ends on": company.contract_ends_on.isoformat() if company.contract_ends_on else "",
    }


def make_person_cells(rng: random.Random, country: str) -> Row:
    """Role, place and origin."""
    roles = ["chief", "head", "manager", "engineer", "buyer", "assistant", "student"]
    sources = ["webform", "expo-2026", "webinar", "referral", "bought list", ""]  # nobody knows the last
    languages = {"DE": "de", "AT": "de", "CH": "de", "FR": "fr", "NL": "nl", "NO": "no", "FI": "fi"}
    role = rng.choices(roles, weights=[9, 19, 25, 33, 7, 5, 2])[0]
    return {
        "role": role,
        "country": country,
        "language": languages.get(country, "en"),
        "time zone": ZONES[country],
        "source": rng.choices(sources, weights=[38, 20, 14, 10, 8, 10])[0],
        "tags": "student"
        if role == "student"
        else rng.choices(["", "newsletter", "competitor"], weights=[84, 14, 2])[0],
    }


def make_consent(rng: random.Random, share: float) -> Row:
    """Consent with its proof, for this share of people."""
    if rng.random() >= share:
        return {"consent": rng.choice(["no", "", ""])}
    at = day(rng, date(2025, 2, 1), TODAY).isoformat()
    clock = f" {rng.randrange(8, 20):02}:{rng.randrange(60):02}" if rng.random() < 0.2 else ""
    source = rng.choices(["webform", "expo-2026 stand", "webinar", "contract"], weights=[55, 20, 15, 10])[0]
    return {"consent": "marketing", "consent source": source, "consent at": at + clock}


def make_prospect_cells(rng: random.Random) -> Row:
    """What a prospect cares for and when there is a budget."""
    interests = [
        "scaling",
        "migration",
        "scaling; security",
        "migration; monitoring",
        "security",
        "monitoring",
        "",
    ]
    attended = "expo-2026" if rng.random() < 0.16 else ""
    if rng.random() < 0.04:
        attended = "; ".join(filter(None, [attended, rng.choice(WEBINARS)]))
    budget_on = day(rng, date(2026, 9, 1), date(2027, 12, 31)).isoformat() if rng.random() < 0.12 else ""
    return {
        "interests": rng.choices(interests, weights=[22, 18, 7, 5, 14, 6, 28])[0],
        "attended": attended,
        "budget on": budget_on,
    }


def make_client_cells(rng: random.Random, company: Company) -> Row:
    """Who is quiet, and the contact in the CRM."""
    quiet_share = 0.15 if company.products == "platform" else 0.7  # the others have no program but this one
    return {
        "tags": "quiet" if rng.random() < quiet_share else "",
        "interests": rng.choices(["", "monitoring", "scaling"], weights=[70, 15, 15])[0],
        "crm id": f"C-{rng.randrange(100000, 999999)}" if rng.random() < 0.96 else "",
    }


def make_untidy(rng: random.Random, row: Row) -> Row:
    """What people and old systems do to a table."""
    for column in [
        "first name",
        "last name",
        "company",
        "employees",
        "role",
        "country",
        "language",
        "time zone",
        "industry",
    ]:
        if rng.random() < 0.05:
            row[column] = ""
    if rng.random() < 0.04:
        row["country"] = rng.choice(SPELLINGS.get(row["country"], [row["country"]]))
    if rng.random() < 0.04:
        row["role"] = rng.choice([row["role"].title(), row["role"].upper(), f" {row['role']} "])
    if rng.random() < 0.01:
        row["time zone"] = rng.choice(BROKEN_ZONES)
    row["email"] = respell(rng, row["email"]) if rng.random() < 0.12 else row["email"]
    row["deal won"] = (
        rng.choice(["Yes", "YES"]) if row["deal won"] and rng.random() < 0.1 else row["deal won"]
    )
    return row


def respell(rng: random.Random, address: str) -> str:
    """The same address for everybody but a naive comparison."""
    local, _, domain = address.partition("@")
    name = ".".join(part.capitalize() for part in local.split("."))
    return rng.choice(
        [address.upper(), f"{name}@{domain}", f" {address}", f"{address} ", f"{local}@{domain.title()}"]
    )


def make_duplicate(rng: random.Random, row: Row) -> Row:
    """The same person again, from another list: other spelling, fewer facts."""
    address = row["email"].strip().lower()
    local, _, domain = address.partition("@")
    again = row | {
        "email": rng.choice([address.upper(), f"{local}@{domain.upper()}", f"  {local.title()}@{domain} "])
    }
    return again | {"employees": "", "role": "", "source": "bought list"}


def make_invalid(rows: list[Row]) -> list[Row]:
    """Rows that an import must give back with a reason: eleven addresses, five dates of consent."""
    addresses = [
        "",
        "",
        "   ",
        "n/a",
        "anna.vogel(at)nordbank.example",
        "max.mustermann",
        "lena@",
        "@steinwerk.example",
        "two words@quellsoft.example",
        "a@@b.example",
        "jörg@bad..dots.example",
    ]
    dates = ["2026-13-45", "31.02.2026", "yesterday", "2026-02-30", "????"]
    broken = [rows[17 * (number + 3)] | {"email": address} for number, address in enumerate(addresses)]
    for number, text in enumerate(dates):
        row = rows[23 * (number + 5)]
        email = f"consent{number + 1}.{row['email'].strip().lower()}"
        broken.append(
            row | {"email": email, "consent": "marketing", "consent source": "webform", "consent at": text}
        )
    return broken


def make_rows() -> list[Row]:
    """All rows in the order of the file."""
    rng = random.Random(SEED)
    companies = make_companies(rng)
    weights = [1 + min(company.employees, 2000) / 400 for company in companies]
    staff = companies + rng.choices(companies, weights=weights, k=PEOPLE - COMPANIES)
    taken: set[str] = set()
    rows = [make_untidy(rng, make_person(rng, company, taken)) for company in staff]
    rng.shuffle(rows)
    rows[41]["last name"] = "=1+1"  # a spreadsheet would calculate it
    for extra in [make_duplicate(rng, row) for row in rng.sample(rows, DUPLICATES)] + make_invalid(rows):
        rows.insert(rng.randrange(100, len(rows)), extra)
    return rows


def main() -> None:
    """Write the file beside this one."""
    path = Path(__file__).with_name("leads.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(make_rows())


if __name__ == "__main__":
    main()
