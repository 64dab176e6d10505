from __future__ import annotations

import re
from pathlib import Path

import pytest

from leadnurture.definitions import check_project, files
from leadnurture.definitions.files import Shape
from leadnurture.definitions.mails import FILTERS, SINGLE, mail_names
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import CONTENT_KINDS, FACT_KINDS, REACTION_KINDS, STAGES, WHYS
from tests.definitions.projects import BASE, write

PAGE = (Path(__file__).parents[2] / "docs/language.md").read_text()
BLOCK = re.compile(r"```yaml\n# (\S+)\n(.*?)```", re.DOTALL)
CODE = " ".join(re.findall(r"`([^`]+)`", PAGE.replace("```", "")))
TEMPLATE = BASE["templates/email/letter-1/prospects.mjml"]
SHAPES = [kind for kind in vars(files).values() if isinstance(kind, type) and issubclass(kind, Shape)]
KEYS = sorted({field.alias or name for shape in SHAPES for name, field in shape.model_fields.items()})


@pytest.fixture
def definitions(tmp_path: Path) -> Definitions:
    project = dict(BLOCK.findall(PAGE))
    contents = [
        path.split("/")[-1].removesuffix(".yaml") for path in project if path.startswith("config/content/")
    ]
    project |= {f"templates/email/{name}/prospects.mjml": TEMPLATE for name in contents}
    asking = TEMPLATE.replace("Hello", '<a href="{{ ask_link }}">Hello</a>')
    project["templates/email/what-for/prospects.mjml"] = asking
    project |= {path: text for path, text in BASE.items() if path.startswith("templates/email/seat-")}
    project["templates/email/_layout.mjml"] = BASE["templates/email/_layout.mjml"]
    told = check_project(write(tmp_path, project))
    assert list(map(str, told.problems)) == []
    assert told.definitions
    return told.definitions


def test_the_examples_are_one_project_without_problems(definitions: Definitions) -> None:
    assert {program.name for program in definitions.programs} == {"scaling-series", "keep-warm"}
    assert {agreement.track for agreement in definitions.agreements} == {"prospects", "clients"}


def test_every_block_is_an_example() -> None:
    assert PAGE.count("```yaml") == len(BLOCK.findall(PAGE))


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_documented(key: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(key)}(?![\w-])", CODE)


@pytest.mark.parametrize("word", [*CONTENT_KINDS, *FACT_KINDS, *REACTION_KINDS, *STAGES, *WHYS, *SINGLE])
def test_every_word_of_the_closed_lists_is_documented(word: str) -> None:
    assert re.search(rf"\b{word}\b", CODE)


def test_what_a_template_may_say_is_documented(definitions: Definitions) -> None:
    roots = mail_names(definitions.company)
    for word in {*roots, *(name for names in roots.values() for name in names), *FILTERS - {"e", "d"}}:
        if word not in dict(definitions.company.facts) and f"account.{word}" not in dict(
            definitions.company.facts
        ):
            assert re.search(rf"\b{word}\b", CODE), word
