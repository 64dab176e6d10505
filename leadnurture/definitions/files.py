"""The shapes of the YAML files: every key with its meaning and examples. Source of the JSON Schemas and of all key lists.

Nothing is ever parsed with these models: `reading.Fields` takes from them which keys there are, which are needed, and which are
not available yet; editors take the rest. So a key that is not described here cannot be read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypeAliasType

from leadnurture.domain.vocabulary import ContentKind, FactKind, Stage

NOT_YET = "Not available yet."


StepName = TypeAliasType("StepName", Annotated[str, Field(description="A step of this program, or end.")])
ContentName = TypeAliasType("ContentName", Annotated[str, Field(description="A file of config/content, without .yaml.")])
ProgramName = TypeAliasType("ProgramName", Annotated[str, Field(description="A program of the same track, without .yaml.")])
PersonName = TypeAliasType("PersonName", Annotated[str, Field(description="A person of config/leadnurture.yaml, or a role.")])
Topic = TypeAliasType("Topic", Annotated[str, Field(description="A topic that the company declares.")])
FactName = TypeAliasType("FactName", Annotated[str, Field(description="A fact of the lead, or with account. before it of the account.")])
ConditionLine = TypeAliasType(
    "Condition",
    Annotated[str, Field(description="One line: facts, figures, reactions, comparisons, and, or, not.", examples=['stage < "qualified" and interest("scaling")', "clicked", "account.employees >= 200"])],
)
Span = TypeAliasType("Duration", Annotated[str, Field(description="A number and a unit.", examples=["4 hours", "5 business days", "1 week"])])
Day = TypeAliasType("Day", Annotated[str, Field(description="Year, month, day.", examples=["2026-12-08"], pattern=r"^\d{4}-\d{2}-\d{2}$")])
Weights = dict[str, Annotated[int, Field(ge=1)]]
Plain = str | int | float | bool


def _later(description: str, examples: list[Any] | None = None) -> Any:  # noqa: ANN401  # a field of any type
    return Field(default=None, description=f"{description} {NOT_YET}", examples=examples, deprecated=True)


class Shape(BaseModel):
    """A map of a file; a key that is not listed is a problem."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Way(Shape):
    """Where an arm leads, and what it notes on the way."""

    go: StepName | None = Field(default=None, description="A step of this program, or end.", examples=["invite", "end"])
    program: ProgramName | None = Field(default=None, description="Ends here and begins another program of the same track.", examples=["quarterly-digest"])
    sets: dict[FactName, Plain] | None = Field(
        default=None, alias="set", description="Facts to set, or a tag to give.", examples=[{"ask_again_on": "in 6 months"}, {"tag": "quiet"}]
    )
    tell: str | None = _later("A notice to a person.", ["He asked for a call"])
    to: PersonName | None = _later("Who is told: a role or a person.", ["account manager"])


class Arm(Way):
    """One line of `then`: the first whose `if` is true is taken."""

    when: ConditionLine | None = Field(default=None, alias="if", description="The condition of this arm; without it the arm is always taken.", examples=["clicked", "visit < 3"])


class Otherwise(Shape):
    """The way out when a step could not do what it says."""

    go: StepName | None = Field(default=None, description="A step of this program, or end.")
    program: ProgramName | None = Field(default=None, description="Another program of the same track.")


class Next(Shape):
    """The next thing of a kind that he has not had."""

    kinds: ContentKind | list[ContentKind] = Field(alias="next", description="The soonest webinar or event with seats, the newest of the rest.", examples=["webinar", ["article", "report"]])
    about: Topic | Literal["interests"] | None = Field(default=None, description="A topic, or interests: the lead's own, strongest first.", examples=["scaling", "interests"])


On = dict[ConditionLine, StepName | Way]


class Step(Shape):
    """One stop: do one thing, wait, choose."""

    send: ContentName | Next | None = Field(default=None, description="A content, or the next one of a kind.", examples=["webinar-thanks", {"next": "webinar", "about": "scaling"}])
    handoff: str | None = Field(default=None, description="Offer the lead to sales, with this reason.", examples=["Answered the webinar series"])
    to: PersonName | None = Field(default=None, description="To whom, beside handoff; without it the agreement's routing decides.", examples=["lena"])
    split: Weights | None = Field(
        default=None,
        description="Alone: steps and their shares. Beside send: variants of the mail and their shares, which the template knows as variant.",
        examples=[{"short": 50, "long": 50}],
    )
    decide: str | None = _later("When the better variant of a split is chosen.", ["clicked after 2 days"])
    task: str | None = _later("Something for a person to do.", ["Ask what they use today"])
    tell: str | None = _later("A notice to a person.", ["He is back"])
    ask: dict[str, FactKind | list[str] | str] | None = _later("A question with its answers, which makes a page with buttons.", [{"feedback": ["interested", "later", "no"]}])
    sets: dict[FactName, Plain] | None = Field(
        default=None, alias="set", description="Facts to set, or a tag to give.", examples=[{"ask_again_on": "in 6 months"}, {"tag": "quiet"}]
    )
    at: str | None = Field(
        default=None,
        description="When the mail leaves: the next such hour, or a date counted from a step or a fact.",
        examples=["tuesday 10:00", "tuesday", "10:00", "2 business days before invite"],
    )
    late: str | None = Field(
        default=None,
        description="What becomes of a mail that missed its hour. Default: skip where at says before, else next window.",
        examples=["skip", "next window", "within 4 hours"],
    )
    on: On | None = Field(default=None, description="Reactions that end the wait at once, and where each leads.", examples=[{"clicked": "thanks"}])
    after: str | None = Field(
        default=None,
        description="How long to wait: from the planned sending, else from the arrival; or a date counted from a step or a fact.",
        examples=["5 business days", "1 day after invite", "45 days before budget_on"],
    )
    then: list[Arm] | None = Field(default=None, description="Time is up: the first true arm is taken, else the next step of the file.", examples=[[{"if": "clicked", "go": "thanks"}, {"go": "letter"}]])
    otherwise: StepName | Otherwise | None = Field(default=None, description="The way out when the step could not do what it says.", examples=["letter"])


class Program(Shape):
    """A nurture plan with a goal: a head of flat lines and its steps. File config/<track>/programs/<name>.yaml."""

    title: str = Field(description="The program's name for people.", examples=["Scaling in practice, a webinar series"])
    owner: PersonName = Field(description="Who answers for it.", examples=["dana"])
    enter: ConditionLine | None = Field(default=None, description="Who comes in. Without it one is only sent here by a program or a return.")
    again: str | None = Field(default=None, description="When he may come again, counted from the end of the last time. Default: never.", examples=["after 180 days", "never"])
    goal: ConditionLine | None = Field(default=None, description="What it is for; counted once, and ends the enrollment.", examples=['stage >= "qualified"'])
    exit: ConditionLine | None = Field(default=None, description="Who leaves at once.", examples=['tag("competitor")'])
    consent: Literal["none"] | None = Field(default=None, description="none: the program asks for no consent.", examples=["none"])
    priority: int | None = Field(default=None, description="Who may be in several programs comes into the one with the higher number. Default: 0.", examples=[10])
    moved: dict[str, StepName] | None = Field(default=None, description="Removed steps, and where those who stand there go on.", examples=[{"old-letter": "letter"}])
    on: On | None = Field(default=None, description="As if it stood in every step.", examples=[{"replied": "call"}])
    steps: dict[str, Step] = Field(description="The steps; the first one is where he begins.", examples=[{"letter": {"send": "letter-1", "after": "1 week"}}], min_length=1)


class Content(Shape):
    """A thing worth sending. File config/content/<name>.yaml; its text is templates/email/<name>/<track>.mjml."""

    kind: ContentKind = Field(description="What it is.", examples=["webinar"])
    title: str | dict[str, str] = Field(description="Its title for readers, or one for each locale.", examples=["Scaling without downtime", {"en": "Scaling without downtime"}])
    topics: list[Topic] | None = Field(default=None, description="What it is about; a reaction makes these his interests.", examples=[["scaling"]])
    sessions: dict[str, str] | None = Field(
        default=None, description="The dates of a webinar or an event, in the company's zone, or the word cancelled.", examples=[{"december": "2026-12-08 15:00", "january": "cancelled"}]
    )
    length: Span | None = Field(default=None, description="How long a session takes.", examples=["45 minutes"])
    seats: int | None = Field(default=None, description="Seats of a session.", examples=[200], ge=1)
    link: str | None = Field(default=None, description="Where it is.", examples=["https://webinar.example.com/scaling-1"], pattern="^https?://")
    published: Day | None = Field(default=None, description="The newest is offered first. Default: the day it was first applied.")
    until: Day | None = Field(default=None, description="The last day on which it is offered.")
    cost: float | None = Field(default=None, description="What it cost, for the reports.", examples=[1200], ge=0)
    remind: Span | list[Span] | None = _later("When whoever has a seat is reminded.", [["1 day", "1 hour"]])
    ask: dict[str, FactKind | list[str] | str] | None = _later("A question with its answers.", [{"interest": ["scaling", "migration"]}])
    service: bool | None = _later("It answers something that he asked for.", [True])


class Sender(Shape):
    """Who the mails are from."""

    name: str = Field(description="The name that readers see.", examples=["Dana of Example"])
    address: str = Field(description="The address of the sender.", examples=["news@example.com"])


class Person(Shape):
    """Somebody of ours."""

    name: str = Field(description="First and last name.", examples=["Dana Weber"])
    email: str = Field(description="Where notices go.", examples=["dana@example.com"])
    role: str = Field(description="What he does.", examples=["marketer", "sales", "sales lead", "account manager"])
    zone: str | None = Field(default=None, description="His time zone. Default: the company's.", examples=["Europe/Vienna"])
    away: str | list[str] | None = Field(default=None, description="Days on which no lead is routed to him.", examples=["2026-12-21 to 2027-01-06"])
    deputy: PersonName | None = Field(default=None, description="Who stands in for him.", examples=["lena"])


class Company(Shape):
    """The company that sends. File config/leadnurture.yaml."""

    name: str = Field(description="The company's name.", examples=["Example GmbH"])
    postal_address: str = Field(alias="postal address", description="Stands in every mail, as the law demands.", examples=["Musterstr. 1, 60311 Frankfurt"])
    sender: Sender = Field(description="Who the mails are from.", examples=[{"name": "Dana of Example", "address": "news@example.com"}])
    url: str = Field(description="Where the links of the mails lead.", examples=["https://news.example.com"], pattern="^https?://")
    zone: str = Field(description="The company's time zone; a lead's own comes first.", examples=["Europe/Berlin"])
    hours: str | None = Field(default=None, description="No program mail leaves outside of them. Default: monday to friday 9:00 to 17:00.", examples=["monday to friday 9:00 to 17:00"])
    holidays: str | None = Field(default=None, description="Country, and after a hyphen its state; no mail leaves on a holiday.", examples=["DE-HE", "AT"])
    locales: list[str] | None = Field(default=None, description="The languages of the templates, the first is the default. Only one is available yet.", examples=[["en"]], min_length=1)
    topics: list[str] | None = Field(default=None, description="What content can be about and leads be interested in.", examples=[["scaling", "migration"]])
    client: ConditionLine = Field(description="Who is a client, and so on the other track.", examples=["account.deal_won and not account.churned"])
    facts: dict[str, FactKind] | None = Field(
        default=None, description="What is known beside name, address, country, language and role.", examples=[{"budget_on": "date", "account.employees": "number"}]
    )
    people: dict[str, Person] = Field(description="Our people, by a short name.", examples=[{"dana": {"name": "Dana Weber", "email": "dana@example.com", "role": "marketer"}}])


class Agreed(Shape):
    """Who agreed."""

    marketing: PersonName = Field(description="For marketing.", examples=["dana"])
    sales: PersonName = Field(description="For sales.", examples=["viktor"])


class Engagement(Shape):
    """Points for what he did."""

    live: Span | None = Field(default=None, description="How long a point counts; without it for ever. Negative ones do not end.", examples=["90 days"])
    points: dict[ConditionLine, int] = Field(description="Reactions and their points: once per content, visits once a day.", examples=[{"clicked": 3, 'visited("/pricing*")': 15}])


class StageShape(Shape):
    """What is agreed about one stage."""

    means: str | None = Field(default=None, description="The stage in one sentence.", examples=["Answered something that counts"])
    when: ConditionLine | None = Field(default=None, description="Who enters it. Only for engaged and qualified: people decide about the rest.", examples=["fit >= 40 and engagement >= 30"])
    needs: list[FactName] | None = Field(default=None, description="Facts that must be known before.", examples=[["account.name", "role"]])
    owner: PersonName | None = Field(default=None, description="Who answers for leads of this stage.", examples=["sales"])
    within: Span | None = Field(default=None, description="How soon he must act.", examples=["4 business hours"])
    remind: Span | None = Field(default=None, description="When he is reminded.", examples=["2 business hours"])
    escalate: PersonName | None = Field(default=None, description="Who is told when the time is over.", examples=["viktor"])
    promise: str | None = Field(default=None, description="How many marketing owes.", examples=["40 a month"])
    stalled: ProgramName | None = Field(default=None, description="The program for those who stand here longer than within.", examples=["stalled-deals"])


class Route(Shape):
    """One line of `routing`."""

    when: ConditionLine | None = Field(default=None, alias="if", description="For whom; without it for everybody.", examples=["account.owner"])
    to: PersonName | list[PersonName] = Field(description="account.owner, account manager, a person, or people in turn, a name as often as its share.", examples=["account.owner", ["lena", "marc", "marc"]])


class Return(Shape):
    """What becomes of a lead that sales returned for this reason."""

    program: ProgramName | None = Field(default=None, description="The program in which he goes on.", examples=["recycle-no-budget"])
    go: Literal["resume", "end"] | None = Field(default=None, description="resume: back where he stood; end: nothing more.", examples=["resume"])
    ask: dict[str, FactKind | list[str] | str] | None = _later("What sales is asked with the return.", [{"budget_on": "date"}])


class Agreement(Shape):
    """What marketing and sales agreed for a track. File config/<track>/track.yaml."""

    version: Day = Field(description="The day of the agreement; every handoff names it.")
    agreed: Agreed = Field(description="Who agreed for both sides.", examples=[{"marketing": "dana", "sales": "viktor"}])
    consent: str | None = Field(default=None, description="The purpose that a lead must have agreed to before anything is sent.", examples=["marketing"])
    pace: str | None = Field(default=None, description="The most mails for a person, over all programs.", examples=["2 a week", "1 a day", "3 a month"])
    at_once: int | None = Field(default=None, alias="at once", description="Programs per lead at a time. Default: 1.", examples=[1], ge=1)
    pause: ConditionLine | None = Field(default=None, description="While it is true nothing is sent.", examples=["account.open_handoff"])
    fit: dict[ConditionLine, int] | None = Field(default=None, description="Conditions over facts and their points.", examples=[{"account.employees >= 200": 30}])
    engagement: Engagement | None = Field(default=None, description="Points for reactions.", examples=[{"live": "90 days", "points": {"clicked": 3}}])
    score: str | None = Field(default=None, description="The order of the list that sales gets. Default: fit + engagement.", examples=["fit + engagement", "2 * fit + engagement"])
    stages: dict[Stage, StageShape] | None = Field(default=None, description="What is agreed about each stage; names and order are fixed.", examples=[{"qualified": {"when": "fit >= 40 and engagement >= 30", "owner": "dana"}}])
    routing: list[Route] | None = Field(default=None, description="Who gets a lead; the first true line wins.", examples=[[{"to": ["lena", "marc"]}]])
    returns: dict[str, Return] | None = Field(default=None, description="The reasons for which sales returns a lead, and what follows.", examples=[{"not a fit": {"go": "end"}}])
    sender: Literal["company", "account manager"] | None = Field(default=None, alias="from", description="Clients only: who mails are from. Default: company.", examples=["account manager"])
    preview: Span | None = Field(default=None, description="Clients only: how long the account manager sees a mail before it leaves.", examples=["3 business days"])
    crm: Literal["required"] | None = Field(default=None, description="Clients only: nobody is mailed who is not in the CRM.", examples=["required"])
