"""The shapes of the YAML files: every key with meaning and examples; the source of schemas and key lists.

Nothing is parsed with these models: `reading.Fields` takes from them which keys there are, which are needed,
which are not available yet; editors take the rest. So a key that is not described here cannot be read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypeAliasType

from leadnurture.domain.vocabulary import ContentKind, FactKind, Stage

NOT_YET = "Not available yet."


def _must(description: str, *examples: object, **rules: Any) -> Any:  # noqa: ANN401  # a field of any type
    return Field(description=description, examples=list(examples), **rules)


def _may(description: str, *examples: object, **rules: Any) -> Any:  # noqa: ANN401  # a field of any type
    return Field(default=None, description=description, examples=list(examples), **rules)


def _later(description: str, *examples: object) -> Any:  # noqa: ANN401  # a field of any type
    return _may(f"{description} {NOT_YET}", *examples, deprecated=True)


# Texts with a name, so that the schema of a project can say which there are.
StepName = TypeAliasType("StepName", Annotated[str, _must("A step of this program, or end.")])
ContentName = TypeAliasType("ContentName", Annotated[str, _must("A file of config/content, without .yaml.")])
ProgramName = TypeAliasType("ProgramName", Annotated[str, _must("A program of this track, without .yaml.")])
PersonName = TypeAliasType("PersonName", Annotated[str, _must("A person of the company, or a role.")])
Topic = TypeAliasType("Topic", Annotated[str, _must("A topic that the company declares.")])
FactName = TypeAliasType(
    "FactName", Annotated[str, _must("A fact of the lead, or behind account. of its account.")]
)
Condition = TypeAliasType(
    "Condition",
    Annotated[
        str,
        _must(
            "One line: facts, figures, reactions, comparisons, and, or, not.",
            'stage < "qualified" and interest("scaling")',
            "clicked",
            "account.employees >= 200",
        ),
    ],
)
Duration = TypeAliasType(
    "Duration", Annotated[str, _must("A number and a unit.", "4 hours", "5 business days", "1 week")]
)
Day = TypeAliasType(
    "Day", Annotated[str, _must("Year, month, day.", "2026-12-08", pattern=r"^\d{4}-\d{2}-\d{2}$")]
)
Weights = dict[str, Annotated[int, Field(ge=1)]]
Question = dict[str, str | list[str | int | float]]
Plain = str | int | float | bool


class Shape(BaseModel):
    """A map of a file; a key that is not listed is a problem."""

    model_config = ConfigDict(extra="forbid", strict=True)


# Programs


class Way(Shape):
    """Where an arm leads, and what it notes on the way."""

    go: StepName | None = _may("A step of this program, or end.", "invite", "end")
    program: ProgramName | None = _may(
        "Ends here and begins another program of the track.", "quarterly-digest"
    )
    sets: dict[FactName, Plain] | None = _may(
        "Facts to set, or a tag to give.", {"ask_again_on": "in 6 months"}, {"tag": "quiet"}, alias="set"
    )
    tell: str | None = _may("A notice to a person.", "He asked for a call")
    to: PersonName | None = _may(
        "Who is told: a role or a person. Without it: the program's owner.", "account manager"
    )


class Arm(Way):
    """One line of `then`: the first whose `if` is true is taken."""

    when: Condition | None = _may(
        "The condition of the arm; without it the arm is always taken.", "clicked", "visit < 3", alias="if"
    )


class Otherwise(Shape):
    """The way out when a step could not do what it says."""

    go: StepName | None = _may("A step of this program, or end.", "letter")
    program: ProgramName | None = _may("Another program of the track.", "quarterly-digest")


class Next(Shape):
    """The next thing of a kind that he has not had."""

    kinds: ContentKind | list[ContentKind] = _must(
        "The soonest webinar or event with seats, the newest of the rest.",
        "webinar",
        ["article", "report"],
        alias="next",
    )
    about: Topic | Literal["interests"] | None = _may(
        "A topic, or interests: the lead's own, strongest first.", "scaling", "interests"
    )


On = dict[Condition, StepName | Way]


class Step(Shape):
    """One stop: do one thing, wait, choose."""

    send: ContentName | Next | None = _may(
        "A content, or the next one of a kind.", "webinar-thanks", {"next": "webinar", "about": "scaling"}
    )
    handoff: str | None = _may("Offer the lead to sales, with this reason.", "Answered the webinar series")
    to: PersonName | None = _may(
        "Beside handoff, task and tell: a person or a role. Without it routing decides about a handoff; "
        "tasks and notices go to the program's owner.",
        "lena",
        "account manager",
    )
    split: Weights | None = _may(
        "Alone: steps and their shares. Beside send: variants of the mail, variant in its template.",
        {"short": 50, "long": 50},
    )
    decide: str | None = _later("When the better variant of a split is chosen.", "clicked after 2 days")
    task: str | None = _may("Something for a person to do.", "Ask what they use today")
    tell: str | None = _may("A notice to a person.", "He is back")
    ask: Question | None = _may(
        "Beside task: questions with their answers, which make a page with buttons.",
        {"feedback": ["interested", "later", "no"]},
    )
    sets: dict[FactName, Plain] | None = _may(
        "Facts to set, or a tag to give.", {"ask_again_on": "in 6 months"}, {"tag": "quiet"}, alias="set"
    )
    at: str | None = _may(
        "When the mail leaves: the next such hour, or a date counted from a step or a fact.",
        "tuesday 10:00",
        "tuesday",
        "10:00",
        "2 business days before invite",
    )
    late: str | None = _may(
        "What becomes of a mail that missed its hour. Default: skip where at says before, else next window.",
        "skip",
        "next window",
        "within 4 hours",
    )
    on: On | None = _may("Reactions that end the wait at once, and where each leads.", {"clicked": "thanks"})
    after: str | None = _may(
        "How long to wait, from the planned sending, else from the arrival; or until a date.",
        "5 business days",
        "1 day after invite",
        "45 days before budget_on",
    )
    then: list[Arm] | None = _may(
        "Time is up: the first true arm is taken, else the next step of the file.",
        [{"if": "clicked", "go": "thanks"}, {"go": "letter"}],
    )
    otherwise: StepName | Otherwise | None = _may(
        "The way out when the step could not do what it says.", "letter", {"program": "quarterly-digest"}
    )


class Program(Shape):
    """A nurture plan: a head of flat lines and its steps. File `config/<track>/programs/<name>.yaml`."""

    title: str = _must("The program's name for people.", "Scaling in practice, a webinar series")
    owner: PersonName = _must("Who answers for it.", "dana")
    enter: Condition | None = _may(
        "Who comes in. Without it one is only sent here by a program or a return.", 'interest("scaling")'
    )
    again: str | None = _may(
        "When he may come again, counted from the end of the last time. Without it: never.",
        "after 180 days",
        "never",
    )
    goal: Condition | None = _may(
        "What it is for; counted once, and ends the enrollment.", 'stage >= "qualified"'
    )
    exit: Condition | None = _may("Who leaves at once.", 'tag("competitor")')
    consent: Literal["none"] | None = _may("none: the program asks for no consent.", "none")
    priority: int | None = _may(
        "Of several programs the one with the higher number goes first. Without it: 0.", 10
    )
    moved: dict[str, StepName] | None = _may(
        "Removed steps, and where those who stand there go on.", {"old-letter": "letter"}
    )
    on: On | None = _may("As if it stood in every step.", {"replied": "call"})
    steps: dict[str, Step] = _must(
        "The steps; he begins at the first.",
        {"letter": {"send": "letter-1", "after": "1 week"}},
        min_length=1,
    )


# Content


class Content(Shape):
    """A thing worth sending. File `config/content/<name>.yaml`; its text is a template of that name."""

    kind: ContentKind = _must("What it is.", "webinar")
    title: str | dict[str, str] = _must(
        "Its title for readers, or one for each locale.",
        "Scaling without downtime",
        {"en": "Scaling without downtime"},
    )
    topics: Topic | list[Topic] | None = _may(
        "What it is about; a reaction makes these his interests.", ["scaling"]
    )
    sessions: dict[str, str] | None = _may(
        "The dates of a webinar or an event, in the company's zone, or the word cancelled.",
        {"december": "2026-12-08 15:00", "january": "cancelled"},
    )
    length: Duration | None = _may("How long a session takes.", "45 minutes")
    seats: int | None = _may("Seats of a session.", 200, ge=1)
    link: str | None = _may("Where it is.", "https://webinar.example.com/scaling-1", pattern="^https?://")
    published: Day | None = _may("The newest is offered first. Without it: the day it was first applied.")
    until: Day | None = _may("The last day on which it is offered.")
    cost: float | None = _may("What it cost, for the reports.", 1200, ge=0)
    remind: Duration | list[Duration] | None = _may(
        "How long before a session whoever has a seat is reminded.", ["1 day", "1 hour"]
    )
    ask: Question | None = _may(
        "Questions with their answers, on the page behind ask_link: topics, a consent, facts, any word.",
        {"interest": ["scaling", "migration"]},
    )
    service: bool | None = _may(
        "It answers something that he asked for, so it leaves at any hour and counts for nothing.", "true"
    )


# The company


class Sender(Shape):
    """Who the mails are from."""

    name: str | dict[str, str] = _must(
        "The name that readers see, or one for each locale.",
        "Dana of Example",
        {"en": "Dana of Example", "de": "Dana von Example"},
    )
    address: str = _must("The address of the sender.", "news@example.com")


class Person(Shape):
    """Somebody of ours."""

    name: str = _must("First and last name.", "Dana Weber")
    email: str = _must("Where notices go.", "dana@example.com")
    role: str = _must("What he does.", "marketer", "sales", "sales lead", "account manager")
    zone: str | None = _may("His time zone. Without it: the company's.", "Europe/Vienna")
    away: str | list[str] | None = _may(
        "Days on which no lead is routed to him.", "2026-12-21 to 2027-01-06", ["2026-12-21 to 2027-01-06"]
    )
    deputy: PersonName | None = _may("Who stands in for him.", "lena")


class Company(Shape):
    """The company that sends. File `config/leadnurture.yaml`."""

    name: str = _must("The company's name.", "Example GmbH")
    postal_address: str = _must(
        "Stands in every mail, as the law demands.",
        "Musterstr. 1, 60311 Frankfurt",
        alias="postal address",
    )
    sender: Sender = _must(
        "Who the mails are from.", {"name": "Dana of Example", "address": "news@example.com"}
    )
    url: str = _must("Where the links of the mails lead.", "https://news.example.com", pattern="^https?://")
    zone: str = _must("The company's time zone; a lead's own comes first.", "Europe/Berlin")
    hours: str | None = _may(
        "No program mail leaves outside of them. Without it: monday to friday 9:00 to 17:00.",
        "monday to friday 9:00 to 17:00",
    )
    holidays: str | None = _may(
        "Country, and behind a hyphen its state: no mail on a holiday.", "DE-HE", "AT"
    )
    locales: str | list[str] | None = _may(
        "The languages of the templates; the first is the default, and its templates bear no suffix.",
        ["en", "de"],
    )
    topics: str | list[str] | None = _may("What content can be about.", ["scaling", "migration"])
    client: Condition = _must(
        "Who is a client, and so on the other track.", "account.deal_won and not account.churned"
    )
    facts: dict[str, FactKind] | None = _may(
        "What is known beside name, address, country, language and role.",
        {"budget_on": "date", "account.employees": "number"},
    )
    crm_link: str | None = _may(
        "Where the CRM shows a lead; `{id}` is his id there.",
        "https://crm.example.com/leads/{id}",
        alias="crm link",
        pattern="^https?://",
    )
    people: dict[str, Person] = _must(
        "Our people, by a short name.",
        {"dana": {"name": "Dana Weber", "email": "dana@example.com", "role": "marketer"}},
    )


# The agreement of a track


class Agreed(Shape):
    """Who agreed."""

    marketing: PersonName = _must("For marketing.", "dana")
    sales: PersonName = _must("For sales.", "viktor")


class Engagement(Shape):
    """Points for what he did."""

    live: Duration | None = _may(
        "How long a point counts; without it for ever. Negative ones do not end.", "90 days"
    )
    points: dict[Condition, int] = _must(
        "Reactions and their points: once per content, visits once a day.",
        {"clicked": 3, 'visited("/pricing*")': 15},
    )


class StageShape(Shape):
    """What is agreed about one stage."""

    means: str | None = _may("The stage in one sentence.", "Answered something that counts")
    when: Condition | None = _may(
        "Who enters it. For engaged and qualified; people decide about the others.",
        "fit >= 40 and engagement >= 30",
    )
    needs: FactName | list[FactName] | None = _may(
        "Facts that must be known before.", ["account.name", "role"]
    )
    owner: PersonName | None = _may("Who answers for leads of this stage.", "sales")
    within: Duration | None = _may("How soon he must act.", "4 business hours")
    remind: Duration | None = _may("When he is reminded.", "2 business hours")
    escalate: PersonName | None = _may("Who is told when the time is over.", "viktor")
    promise: str | None = _may("How many marketing owes.", "40 a month")
    stalled: ProgramName | None = _may("The program of those who stay longer than within.", "stalled-deals")


class Route(Shape):
    """One line of `routing`."""

    when: Condition | None = _may("For whom; without it for everybody.", "account.owner", alias="if")
    to: PersonName | list[PersonName] = _must(
        "account.owner, account manager, or people in turn, a name as often as its share.",
        "account.owner",
        ["lena", "marc", "marc"],
    )


class Return(Shape):
    """What becomes of a lead that sales returned for this reason."""

    program: ProgramName | None = _may("The program in which he goes on.", "recycle-no-budget")
    go: Literal["resume", "end"] | None = _may("resume: back where he stood. end: nothing more.", "resume")
    ask: Question | None = _may("Facts that sales is asked for with the return.", {"budget_on": "date"})


class Agreement(Shape):
    """What marketing and sales agreed for a track. File `config/<track>/track.yaml`."""

    version: Day = _must("The day of the agreement; every handoff names it.", "2026-12-01")
    agreed: Agreed = _must("Who agreed for both sides.", {"marketing": "dana", "sales": "viktor"})
    consent: str | None = _may(
        "The purpose that a lead must have agreed to before anything is sent.", "marketing"
    )
    pace: str | None = _may(
        "The most mails for a person, over all programs.", "2 a week", "1 a day", "3 a month"
    )
    at_once: int | None = _may("Programs per lead at a time. Without it: 1.", 1, alias="at once", ge=1)
    pause: Condition | None = _may("While it is true nothing is sent.", "account.open_handoff")
    fit: dict[Condition, int] | None = _may(
        "Conditions over facts and their points.", {"account.employees >= 200": 30}
    )
    engagement: Engagement | None = _may(
        "Points for reactions.", {"live": "90 days", "points": {"clicked": 3}}
    )
    score: str | None = _may(
        "The order of the list that sales gets. Without it: fit + engagement.", "2 * fit + engagement"
    )
    stages: dict[Stage, StageShape] | None = _may(
        "What is agreed about each stage; names and order are fixed.",
        {"qualified": {"when": "fit >= 40 and engagement >= 30", "owner": "dana"}},
    )
    routing: list[Route] | None = _may(
        "Who gets a lead; the first true line wins.", [{"to": ["lena", "marc"]}]
    )
    returns: dict[str, Return] | None = _may(
        "The reasons for which sales returns a lead, and what follows.", {"not a fit": {"go": "end"}}
    )
    sender: Literal["company", "account manager"] | None = _may(
        "Clients only: who the mails are from. Without it: company.", "account manager", alias="from"
    )
    preview: Duration | None = _may(
        "Clients only: how long the account manager sees a mail before it leaves.", "3 business days"
    )
    crm: Literal["required"] | None = _may(
        "Clients only: nobody is mailed who is not in the CRM.", "required"
    )
