"""Templates: compiled once with their Jinja kept, rendered in a sandbox that can only look up names."""

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from jinja2 import TemplateError
from jinja2.exceptions import SecurityError, UndefinedError

from leadnurture.app import examine
from leadnurture.definitions.mails import mail_names
from leadnurture.domain.content import Content
from leadnurture.domain.vocabulary import TRACKS, Track
from leadnurture.engine import CompiledTemplate
from leadnurture.mail import compile_templates
from leadnurture.mail.plain import plain_text
from leadnurture.mail.rendering import HTML, PLAIN, rendering
from leadnurture.mail.templates import sample_values
from tests.mail.scene import LAYOUT, NOW, definitions, template

SAMPLE = Path(__file__).parents[2] / "templates" / "email"
VALUES = sample_values(mail_names(definitions().company))


def compiled(body: str, subject: str = "A subject", layout: str = LAYOUT) -> CompiledTemplate:
    """The one template of a project with this body."""
    templates, problems = compile_one(body, subject, layout)
    assert problems == ()
    return templates[0]


def compile_one(
    body: str, subject: str = "A subject", layout: str = LAYOUT
) -> tuple[tuple[CompiledTemplate, ...], tuple[str, ...]]:
    """The same with the problems as sentences."""
    project = replace(
        definitions(),
        contents=(Content("guide", "report", (("en", "The guide"),), tracks=("prospects",)),),
        templates=(("_layout.mjml", layout), ("guide/prospects.mjml", template(subject, body))),
    )
    templates, problems = compile_templates(project)
    return templates, tuple(str(problem) for problem in problems)


# What is kept


@pytest.mark.parametrize(
    "expression",
    [
        '{{ lead.first_name or "a  friend" }}',
        "{{ 'x' if 1 < 2 and 3 > 2 else \"&\" }}",
        "{% if account.name %}at {{ account.name }}{% else %}where you work{% endif %}",
        "{{ lead.name | upper }}",
        "{% for letter in lead.name %}{{ loop.index }}{% endfor %}",
    ],
)
def test_jinja_survives_mjml_and_the_conversion_to_text(expression: str) -> None:
    mail = compiled(f"Hello {expression}!", subject=f"S {expression}")
    assert f"Hello {expression}!" in mail.html
    assert f"Hello {expression}!" in mail.text
    assert mail.subject == f"S {expression}"


def test_entities_are_for_html_alone() -> None:
    mail = compiled("Tea &amp; {{ account.name }}", subject="Tea &amp; more")
    shown = rendering(mail.subject, mail.html, mail.text).render(
        {**VALUES, "account": {"name": "<Ältere & Söhne>"}}
    )
    assert shown.subject == "Tea & more"
    assert "Tea &amp; &lt;Ältere &amp; Söhne&gt;" in shown.html
    assert "Tea & <Ältere & Söhne>" in shown.text


def test_the_preheader_is_in_the_html_and_not_in_the_text() -> None:
    mail = compiled("Hello")
    assert "Preheader" in mail.html
    assert "Preheader" not in mail.text


def test_no_person_and_no_screen_reader_meets_the_hidden_link_of_the_sample() -> None:
    templates = examine(SAMPLE.parents[1], NOW).templates
    assert len(templates) > 20
    for each in templates:
        links = re.findall(r"<a href=\"{{ hidden_link }}\"([^>]*)>(.*?)</a>", each.html)
        assert len(links) == 1, each.path
        ((attributes, text),) = links
        assert text == ""
        for sign in (
            'aria-hidden="true"',
            'tabindex="-1"',
            "display:none",
            "visibility:hidden",
            "mso-hide:all",
        ):
            assert sign in attributes
        assert "hidden_link" not in each.text
        assert "only machines" not in each.html


def test_braces_that_are_no_jinja_stay_braces() -> None:
    mail = compiled("Hello {{ '{' }}% and &#123;&#123; 7 }}")
    assert "{% and {{ 7 }}" in rendering(mail.subject, mail.html, mail.text).render(VALUES).text


def test_the_text_reads_like_a_letter() -> None:
    source = """<mjml><mj-head><mj-preview>no</mj-preview></mj-head><mj-body><mj-section><mj-column>
      <mj-text><h1>Title</h1></mj-text><mj-text>Hello <b>Ann</b>,<br/>second   line</mj-text>
      <mj-button href="https://x.org/?a=1&amp;b=2" align="left">Take a seat</mj-button>
      <mj-text>Not for you? <a href="https://x.org/n">Say no</a>.</mj-text><mj-image src="a.png" alt="x"/>
      <mj-table><tr><td>one</td><td>two</td></tr></mj-table><mj-raw><p>raw</p></mj-raw>
    </mj-column></mj-section></mj-body></mjml>"""
    assert plain_text(source).splitlines() == [
        "Title",
        "",
        "Hello Ann,",
        "second line",
        "",
        "Take a seat <https://x.org/?a=1&b=2>",
        "",
        "Not for you? Say no <https://x.org/n>.",
        "",
        "one  two",
        "",
        "raw",
    ]


def test_a_loop_around_columns_keeps_its_place_in_the_text() -> None:
    loop = "<mj-raw>{% for x in lead.name %}</mj-raw><mj-text>{{ x }}</mj-text><mj-raw>{% endfor %}</mj-raw>"
    body = f"a</mj-text>{loop}<mj-text>z"
    mail = compiled(body)
    shown = rendering(mail.subject, mail.html, mail.text).render({**VALUES, "lead": {"name": "xy"}})
    assert shown.text.split()[:4] == ["a", "x", "y", "z"]


def test_a_block_of_the_layout_is_replaced_and_super_is_what_it_was() -> None:
    layout = LAYOUT.replace(
        "{% block body %}{% endblock %}", "{% block body %}<mj-raw>old</mj-raw>{% endblock %}"
    )
    mail = compiled(
        "x</mj-text><mj-raw>{{ super() }}</mj-raw><mj-text>y",
        layout=layout.replace("<mj-raw>old</mj-raw>", "old"),
    )
    assert "old" in mail.html
    assert "{% block" not in mail.html
    assert "super" not in mail.html


def test_the_hash_is_that_of_the_content() -> None:
    assert compiled("one").hash == compiled("one").hash != compiled("two").hash


# What is refused


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{{ lead.frist_name }}", 'unknown name behind lead. "frist_name", did you mean "first_name"?'),
        ("{{ leed.name }}", 'unknown name "leed", did you mean "lead"?'),
        ("{{ facts.shoe_size }}", "declare it under facts in config/leadnurture.yaml"),
        ("{{ lead }}", '"lead" needs a dot'),
        ("{{ link.host }}", '"link" is one text'),
        (
            "{% for a in lead.name %}" * 3 + "{% endfor %}" * 3,
            "at most 2 deep",
        ),
        ("{{ 'a' * 1000000000 }}", "the mail cannot be rendered"),
        ("{{ lead.name.upper() }}", "the mail cannot be rendered"),
        ("<b>", "MJML:"),
    ],
)
def test_a_problem_has_its_place_and_its_remedy(body: str, sentence: str) -> None:
    _, problems = compile_one(body)
    assert len(problems) == 1, problems
    assert problems[0].startswith("templates/email/guide/prospects.mjml:1:")
    assert sentence in problems[0]


def test_jinja_that_mjml_leaves_out_is_a_problem() -> None:
    _, problems = compile_one("a</mj-text><mj-divider>{{ lead.name }}</mj-divider><mj-text>b")
    assert any("leaves out {{ lead.name }}" in problem or "MJML:" in problem for problem in problems)


def test_every_mail_owes_a_way_out_and_an_address() -> None:
    _, problems = compile_one(
        "Hello", layout=LAYOUT.replace('<a href="{{ unsubscribe_link }}">Unsubscribe</a>', "")
    )
    assert any("the text lacks a link to {{ unsubscribe_link }}" in problem for problem in problems)
    _, problems = compile_one("Hello", layout=LAYOUT.replace("{{ company.postal_address }}", ""))
    assert any("the HTML lacks {{ company.postal_address }}" in problem for problem in problems)


def test_a_mail_without_subject_is_refused() -> None:
    _, problems = compile_one("Hello", subject=" ")
    assert any("no subject" in problem for problem in problems)


def test_a_template_that_grows_too_large_is_stopped() -> None:
    _, problems = compile_one(
        "{% for a in lead.name %}{% for b in lead.name %}" + "x" * 9000 + "{% endfor %}{% endfor %}"
    )
    assert any("500 kB" in problem for problem in problems)


# The sandbox


@pytest.mark.parametrize(
    "source",
    [
        "{{ lead.__class__ }}",
        "{{ lead['__class__'] }}",
        "{{ lead.name.__class__.__mro__ }}",
        "{{ lead.items() }}",
        "{{ ''.join(['a']) }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 2 ** 1000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ range(1000000000) }}",
        "{{ cycler }}",
        "{{ self }}{{ self._TemplateReference__context }}",
        "{{ lead | attr('__class__') }}",
        "{{ lead.name | format }}",
        "{% include 'x' %}",
        "{% import 'os' as os %}",
        "{{ missing }}",
        "{{ lead.missing }}",
    ],
)
def test_a_template_can_look_up_names_and_nothing_else(source: str) -> None:
    for environment in (HTML, PLAIN):
        with pytest.raises((TemplateError, TypeError)):
            environment.from_string(source).render(VALUES)


def test_numbers_may_be_counted_with_and_missing_values_show_nothing() -> None:
    values = {"facts": {"n": 1200.0, "none": None}}
    assert (
        PLAIN.from_string("{{ facts.n }} {{ facts.n + 2 }} [{{ facts.none }}]").render(values)
        == "1200 1202 []"
    )


def test_the_errors_are_jinjas() -> None:
    with pytest.raises(UndefinedError):
        PLAIN.from_string("{{ lead.missing }}").render(VALUES)
    with pytest.raises(SecurityError):
        PLAIN.from_string("{{ lead.name * 9 }}").render(VALUES)


# The sample company, and the speed


def sample() -> tuple[CompiledTemplate, ...]:
    """Every mail of the sample company."""
    files = tuple(
        (str(path.relative_to(SAMPLE)), path.read_text()) for path in sorted(SAMPLE.rglob("*.mjml"))
    )
    tracks: dict[str, list[Track]] = {}
    for path, _ in files:
        if "/" in path:
            content, _, name = path.removesuffix(".mjml").partition("/")
            tracks.setdefault(content, []).extend(track for track in TRACKS if track == name)
    company = replace(definitions().company, facts=(("budget_on", "date"), ("contract_ends_on", "date")))
    contents = tuple(
        Content(name, "email", (("en", name),), tracks=tuple(its)) for name, its in tracks.items()
    )
    templates, problems = compile_templates(
        replace(definitions(), company=company, contents=contents, templates=files)
    )
    assert [problem for problem in problems if not problem.is_warning] == []
    return templates


def test_every_mail_of_the_sample_company_renders_and_asks_no_other_host() -> None:
    templates = sample()
    assert len(templates) > 30
    for one in templates:
        assert "fonts.googleapis" not in one.html
        assert "@import" not in one.html


def test_rendering_takes_a_fraction_of_a_millisecond() -> None:
    prepared = [rendering(one.subject, one.html, one.text) for one in sample()]
    values = {**VALUES, "facts": {"budget_on": "1 May 2027", "contract_ends_on": None}}
    best = 1.0
    for _ in range(5):
        began = time.process_time()
        for one in prepared:
            one.render(values)
        best = min(best, (time.process_time() - began) / len(prepared))
    assert best < 1 / 3000, f"{1 / best:.0f} mails a second and core"
