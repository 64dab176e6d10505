"""Conditions as SQL. There is no second evaluator: what `check` accepted is compiled here and judged by the database.

A `Scope` says which rows a condition is about. Bare reactions need an enrollment and the step's own subject; conditions of
heads and agreements have the lead alone. Every comparison is coalesced to false, so that a missing fact is never NULL.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    String,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    select,
)

from leadnurture.domain.condition import (
    And,
    Compare,
    Condition,
    DaysUntil,
    Fact,
    Figure,
    Has,
    Known,
    Node,
    Not,
    OneOf,
    OpenHandoff,
    Or,
    Reacted,
    Term,
    Value,
    Word,
    leaves,
)
from leadnurture.domain.vocabulary import ENGAGED_STAGES, ORDERED_STAGES, STANDING_KINDS
from leadnurture.engine.calendar import local_day
from leadnurture.engine.preferences import is_unwanted
from leadnurture.engine.sql import one, some
from leadnurture.store.instants import Instant, day_number
from leadnurture.store.tables import (
    Account,
    AccountFact,
    Consent,
    Handoff,
    Interest,
    Lead,
    LeadFact,
    LeadTag,
    Message,
    Product,
    Reaction,
    Standing,
    Transition,
)

Expression = ColumnElement[Any]
Truth = ColumnElement[bool]

NOW: Final = bindparam("now", type_=Instant())
LEAD_COLUMNS: Final = {
    "first_name": "first_name", "last_name": "last_name", "name": "last_name", "address": "email", "email": "email",
    "country": "country", "language": "language", "role": "role", "zone": "zone", "source": "source",
}  # fmt: skip
ACCOUNT_COLUMNS: Final = {"account.name": "name", "account.domain": "domain", "account.owner": "owner"}
# Who attended or missed a session had a seat: a rule for `registered` must not take him for silent.
COUNTS_AS: Final = {"registered": ("registered", "attended", "missed")}


@dataclass(frozen=True)
class Scope:
    """The rows that a condition is about."""

    lead: FromClause
    enrollment: FromClause | None = None
    message: Expression | None = None
    """The mail that bare moments are about."""
    content: Expression | None = None
    """What that mail is about."""
    session_content: Expression | None = None
    session: Expression | None = None
    step_content: dict[str, str | None] | None = None
    """The fixed content of each step, for reactions that name a step."""
    trouble: Expression | None = None
    """Why the step cannot do what it says, as far as it is known yet."""
    is_program_wide: bool = False
    """True in a program's own `on`: bare means anything that this program sent."""


def compile_condition(condition: Condition, scope: Scope) -> Truth:
    """The condition as a SQL truth that is never NULL; it has the parameter `now`."""
    return _node(condition.node, scope)


def fired_by(condition: Condition, scope: Scope) -> Expression | None:
    """The newest reaction that makes the condition true, where the condition is a single moment; for history
    and once-only.
    """
    node = condition.node
    if isinstance(node, Reacted) and node.kind not in STANDING_KINDS:
        reaction = Reaction.__table__.alias()
        return one(func.max(reaction.c.id), *_moment(node, scope, reaction), of=[reaction])
    return None


def values_seen(condition: Condition | None, scope: Scope) -> Expression | None:
    """The values of the condition's terms as text: `engagement 32, fit 45`; None where it has none."""
    terms = (
        {}
        if condition is None
        else {
            _name(leaf.term): leaf.term
            for leaf in leaves(condition.node)
            if isinstance(leaf, Compare | OneOf)
        }
    )
    seen: Expression | None = None
    for name, term in terms.items():
        value = func.coalesce(_as_text(term, scope), literal("unknown"))
        part = literal(f"{name} ") + value
        seen = part if seen is None else seen + literal(", ") + part
    return seen


def fact_value(name: str, kind: str, lead: FromClause) -> Expression:
    """The value of a fact of a lead or of its account: text, else a number; NULL or empty when it is unknown."""
    if name in LEAD_COLUMNS:
        return func.nullif(lead.c[LEAD_COLUMNS[name]], "")
    if name in ACCOUNT_COLUMNS:
        account = Account.__table__.alias()
        return one(
            func.nullif(account.c[ACCOUNT_COLUMNS[name]], ""), account.c.id == lead.c.account_id, of=[account]
        )
    table, key, owner = (
        (AccountFact, "account_id", lead.c.account_id)
        if name.startswith("account.")
        else (LeadFact, "lead_id", lead.c.id)
    )
    fact = table.__table__.alias()
    column = fact.c.text if kind == "text" else fact.c.number
    return one(column, fact.c[key] == owner, fact.c.name == name.removeprefix("account."), of=[fact])


def _node(node: Node, scope: Scope) -> Truth:  # noqa: PLR0911 - one line a kind of node
    match node:
        case And(parts):
            return and_(*(_node(part, scope) for part in parts))
        case Or(parts):
            return or_(*(_node(part, scope) for part in parts))
        case Not(part):
            return not_(_node(part, scope))
        case Compare():
            return _compare(node, scope)
        case OneOf(term, values):
            return func.coalesce(_term(term, scope).in_([_literal(value) for value in values]), false())
        case Known(fact):
            value = fact_value(fact.name, fact.kind, scope.lead)
            return func.coalesce(value == 1, false()) if fact.kind == "flag" else value.is_not(None)
        case Has():
            return _has(node, scope)
        case OpenHandoff():
            return _open_handoff(scope)
        case Reacted():
            return _standing(node, scope) if node.kind in STANDING_KINDS else _happened(node, scope)


def _compare(node: Compare, scope: Scope) -> Truth:
    if isinstance(node.term, Word) and node.term.name == "stage":
        return scope.lead.c.stage.in_(_stages(node.operator, str(node.value)))
    left, right = _term(node.term, scope), literal(_literal(node.value))
    compared = {
        "==": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right,
    }[node.operator]  # fmt: skip
    return func.coalesce(compared, false())


def _stages(operator: str, stage: str) -> list[str]:
    """The stages for which a comparison holds; `lost` stands outside of the order."""
    if operator in {"==", "!="}:
        chosen = [stage]
        return (
            chosen if operator == "==" else [other for other in (*ORDERED_STAGES, "lost") if other != stage]
        )
    place = [str(one) for one in ORDERED_STAGES].index(stage)
    low, high = {"<": (0, place), "<=": (0, place + 1), ">": (place + 1, None), ">=": (place, None)}[operator]
    return list(ORDERED_STAGES[low:high])


def _literal(value: Value) -> bool | int | float | str:
    if isinstance(value, bool):
        return int(value)
    return day_number(value) if isinstance(value, date) else value


def _term(term: Term, scope: Scope) -> Expression:
    match term:
        case Fact(name, kind):
            return fact_value(name, kind, scope.lead)
        case Figure(name):
            return _figure(name, scope)
        case Word("why"):
            return func.coalesce(scope.trouble, _enrollment(scope).c.why)
        case Word(name):
            return func.nullif(scope.lead.c[name], "")
        case DaysUntil(fact):
            return cast(fact_value(fact, "date", scope.lead), BigInteger) - local_day(scope.lead.c.zone, NOW)


def _figure(name: str, scope: Scope) -> Expression:
    if name == "account.engaged":
        return _engaged_people(scope.lead)
    return _enrollment(scope).c.visit if name == "visit" else scope.lead.c[name]


def _engaged_people(lead: FromClause) -> Expression:
    """How many people of the account are engaged or further; of somebody without one, he himself."""
    colleague = Lead.__table__.alias()
    engaged = (colleague.c.account_id == lead.c.account_id, colleague.c.stage.in_(ENGAGED_STAGES))
    alone = case((lead.c.stage.in_(ENGAGED_STAGES), 1), else_=0)
    return case((lead.c.account_id.is_(None), alone), else_=one(func.count(), *engaged, of=[colleague]))


def _name(term: Term) -> str:
    return f"days until {term.fact}" if isinstance(term, DaysUntil) else term.name


def _as_text(term: Term, scope: Scope) -> Expression:
    if isinstance(term, Fact) and term.kind == "date":
        return _as_text(DaysUntil(term.name), scope) + literal(" days ahead")
    value = _term(term, scope)
    if isinstance(term, Fact) and term.kind in {"number", "flag"}:
        value = cast(value, BigInteger)
    return cast(value, String)


def _enrollment(scope: Scope) -> FromClause:
    if scope.enrollment is None:
        msg = "a condition about an enrollment was compiled without one; check should have refused it"
        raise AssertionError(msg)
    return scope.enrollment


def _has(node: Has, scope: Scope) -> Truth:
    match node.what:
        case "tag":
            tag = LeadTag.__table__.alias()
            return some(tag.c.lead_id == scope.lead.c.id, tag.c.tag == node.name, of=[tag])
        case "product":
            product = Product.__table__.alias()
            return some(
                product.c.account_id == scope.lead.c.account_id, product.c.name == node.name, of=[product]
            )
        case "interest":
            interest = Interest.__table__.alias()
            return some(
                interest.c.lead_id == scope.lead.c.id,
                interest.c.topic == node.name,
                *living(interest),
                not_(is_unwanted(scope.lead.c.id, literal(node.name))),
                of=[interest],
            )
        case "consent":
            return has_consent(scope.lead, literal(node.name))


def living(rows: FromClause) -> tuple[Truth, Truth]:
    """Rows of points or interests that count now."""
    return rows.c.begins_at <= NOW, or_(rows.c.ends_at.is_(None), rows.c.ends_at > NOW)


def has_consent(lead: FromClause, purpose: Expression) -> Truth:
    """A consent that was given and not withdrawn."""
    consent = Consent.__table__.alias()
    return some(
        consent.c.lead_id == lead.c.id,
        consent.c.purpose == purpose,
        consent.c.withdrawn_at.is_(None),
        of=[consent],
    )


def _open_handoff(scope: Scope) -> Truth:
    handoff, colleague = Handoff.__table__.alias(), Lead.__table__.alias()
    offered = (handoff.c.lead_id == colleague.c.id, handoff.c.status == "open")
    # Asked once for all, so that nobody is asked one by one whose account is in no talks.
    in_talks = (
        select(colleague.c.account_id)
        .select_from(handoff, colleague)
        .where(*offered, colleague.c.account_id.is_not(None))
    )
    return and_(
        func.coalesce(scope.lead.c.account_id.in_(in_talks.correlate(None)), false()),
        some(
            colleague.c.account_id == scope.lead.c.account_id,
            colleague.c.id != scope.lead.c.id,
            *offered,
            of=[handoff, colleague],
        ),
    )


def _standing(node: Reacted, scope: Scope) -> Truth:
    standing = Standing.__table__.alias()
    wanted = [
        standing.c.lead_id == scope.lead.c.id,
        standing.c.kind.in_(COUNTS_AS.get(node.kind, (node.kind,))),
    ]
    if node.about is None:
        wanted += [
            standing.c.content == scope.session_content,
            standing.c.session.in_([func.coalesce(scope.session, ""), ""]),
        ]
    elif node.about_is_step:
        wanted.append(standing.c.content == _sent_by(node.about, scope, "content"))
    else:
        wanted.append(standing.c.content == node.about)
    if node.within is not None:
        reaction = Reaction.__table__.alias()
        recent = some(
            reaction.c.id == standing.c.reaction_id,
            reaction.c.recorded_at >= NOW - node.within.microseconds,
            of=[reaction],
        )
        wanted.append(recent)
    return some(*wanted, of=[standing])


def _happened(node: Reacted, scope: Scope) -> Truth:
    reaction = Reaction.__table__.alias()
    return some(*_moment(node, scope, reaction), of=[reaction])


def _moment(node: Reacted, scope: Scope, reaction: FromClause) -> list[Truth]:
    """What a reaction must be to make a moment true.

    Since he came to the step, unless `within` reaches back over everything.
    """
    wanted: list[Truth] = [
        reaction.c.lead_id == scope.lead.c.id,
        reaction.c.kind == node.kind,
        reaction.c.counts_at <= NOW,
    ]
    if node.argument is not None:
        wanted.append(argument_matches(node, reaction))
    if node.within is not None:
        wanted.append(reaction.c.recorded_at >= NOW - node.within.microseconds)
    if scope.enrollment is None:
        return [*wanted, *_named(node, scope, reaction)]
    if node.within is None:
        wanted.append(reaction.c.id > scope.enrollment.c.seen_reaction_id)
        if node.kind == "clicked":  # written when it was judged, but done before: maybe at another step
            wanted.append(reaction.c.recorded_at >= scope.enrollment.c.arrived_at)
    else:
        wanted.append(not_(_has_steered(scope.enrollment, reaction)))
    if node.about is None and node.within is None:
        return [*wanted, _about_this(scope, scope.enrollment, reaction)]
    return [*wanted, *_named(node, scope, reaction)]


def _named(node: Reacted, scope: Scope, reaction: FromClause) -> list[Truth]:
    if node.about is None:
        return []
    if not node.about_is_step:
        return [reaction.c.content == node.about]
    told_without_mail = and_(
        reaction.c.message_id.is_(None), reaction.c.content == _sent_by(node.about, scope, "content")
    )
    return [or_(reaction.c.message_id == _sent_by(node.about, scope, "id"), told_without_mail)]


def _about_this(scope: Scope, enrollment: FromClause, reaction: FromClause) -> Truth:
    """Through the mail where it is known; without one by its content, or by nothing but the time."""
    if scope.is_program_wide:
        message = Message.__table__.alias()
        ours = some(
            message.c.enrollment_id == enrollment.c.id,
            or_(message.c.id == reaction.c.message_id, message.c.content == reaction.c.content),
            of=[message],
        )
        return or_(ours, and_(reaction.c.message_id.is_(None), reaction.c.content.is_(None)))
    about = or_(reaction.c.content.is_(None), reaction.c.content == scope.content)
    return or_(reaction.c.message_id == scope.message, and_(reaction.c.message_id.is_(None), about))


def _has_steered(enrollment: FromClause, reaction: FromClause) -> Truth:
    transition = Transition.__table__.alias()
    return some(
        transition.c.enrollment_id == enrollment.c.id,
        transition.c.reaction_id == reaction.c.id,
        of=[transition],
    )


def _sent_by(step: str, scope: Scope, column: str) -> Expression:
    """Of the mail that a step of this enrollment sent last."""
    message = Message.__table__.alias()
    gone = message.c.status.not_in(["cancelled", "failed"])
    ours = (message.c.enrollment_id == _enrollment(scope).c.id, message.c.step == step, gone)
    return one(message.c[column], *ours, of=[message], order=[message.c.visit.desc()])


def argument_matches(node: Reacted, reaction: FromClause) -> Truth:
    """Whether the path of a visit fits the rule's glob, or an answer is the one that it names."""
    argument = node.argument or ""
    if node.kind != "visited":
        return func.coalesce(reaction.c.argument == argument, false())
    pattern = (
        argument.replace("\\", "\\\\")
        .replace("%", "\\%")
        .replace("_", "\\_")
        .replace("*", "%")
        .replace("?", "_")
    )
    return func.coalesce(func.lower(reaction.c.argument).like(pattern.lower(), escape="\\"), false())
