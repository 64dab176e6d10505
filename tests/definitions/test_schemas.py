from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from leadnurture.definitions import check_project, write_schemas
from leadnurture.definitions.nodes import parse, plain
from leadnurture.definitions.problems import Report
from leadnurture.definitions.schemas import SHAPES, static_schema
from tests.definitions.projects import BASE, GOLDEN, files_of, write

ROOT = Path(__file__).parents[2]
SCHEMA_LINE = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")
KINDS = {"company": "leadnurture.yaml", "track": "track.yaml"}


def kind_of(path: str) -> str:
    name = path.rpartition("/")[2]
    known = next((kind for kind, file in KINDS.items() if file == name), None)
    return known or ("program" if "/programs/" in path else "content")


def tree_of(text: str) -> object:
    node = parse(text, Report("x"))
    return plain(node) if node else None


def validator(kind: str) -> Draft202012Validator:
    schema = static_schema(kind)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


VALIDATORS = {kind: validator(kind) for kind in SHAPES}
SAMPLES = [
    path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "config").rglob("*.yaml"))
    if not path.name.endswith(".test.yaml")
]


@pytest.mark.parametrize("path", SAMPLES)
def test_an_editor_finds_nothing_in_the_sample_company(path: str) -> None:
    told = VALIDATORS[kind_of(path)].iter_errors(tree_of((ROOT / path).read_text()))

    assert [error.message for error in told] == []


@pytest.mark.parametrize("name", ["unknown-key", "missing-keys", "wrong-types", "unknown-kind", "no-value"])
def test_an_editor_sees_mistakes_of_shape_as_well(name: str) -> None:
    files = files_of((GOLDEN / f"{name}.txt").read_text())
    broken = [path for path in files if path.startswith("config/")]

    assert any(list(VALIDATORS[kind_of(path)].iter_errors(tree_of(files[path]))) for path in broken)


def test_every_key_has_a_meaning_and_an_example() -> None:
    for kind in SHAPES:
        for name, definition in {kind: static_schema(kind), **static_schema(kind)["$defs"]}.items():
            for key, value in definition.get("properties", {}).items():
                assert value.get("description") or "$ref" in value, f"{name}.{key}"


def test_the_schema_of_a_project_offers_what_there_is(tmp_path: Path) -> None:
    written = write_schemas(write(tmp_path, BASE))

    program = json.loads((tmp_path / ".schema/program.json").read_text())
    assert program["$defs"]["ContentName"]["enum"] == ["letter-1", "scaling-1"]
    assert program["$defs"]["ProgramName"]["enum"] == ["letters"]
    assert {"dana", "lena", "viktor", "sales"} <= set(program["$defs"]["PersonName"]["enum"])
    assert program["$defs"]["Topic"]["enum"] == ["scaling", "security"]
    assert program["$defs"]["StepName"]["anyOf"][0]["enum"] == ["call", "end", "first"]
    names = [path.relative_to(tmp_path).as_posix() for path in written]
    assert len(names) == 9
    assert ".vscode/settings.json" in names
    for path in BASE:
        if path.startswith("config/"):
            schema = json.loads((tmp_path / ".schema" / f"{kind_of(path)}.json").read_text())
            assert list(Draft202012Validator(schema).iter_errors(tree_of(BASE[path]))) == []


def test_the_schemas_of_the_sample_company_are_current(tmp_path: Path) -> None:
    """They are committed, so that an editor completes at once; `leadnurture schema` writes them anew."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "templates/email", tmp_path / "templates/email")

    for path in write_schemas(tmp_path):
        name = path.relative_to(tmp_path)
        assert (ROOT / name).read_text() == path.read_text(), f"{name}: run `leadnurture schema`"


@pytest.mark.parametrize("path", SAMPLES)
def test_a_comment_that_names_a_schema_names_the_right_one(path: str) -> None:
    for name in SCHEMA_LINE.findall((ROOT / path).read_text()):
        assert ((ROOT / path).parent / name).resolve() == ROOT / f".schema/{kind_of(path)}.json"


def test_the_settings_of_the_editor_keep_what_is_in_them(tmp_path: Path) -> None:
    settings_file = write(tmp_path, BASE) / ".vscode/settings.json"
    settings_file.parent.mkdir()
    settings_file.write_text('{"editor.tabSize": 2}')

    write_schemas(tmp_path)
    write_schemas(tmp_path)

    told = json.loads(settings_file.read_text())
    assert told["editor.tabSize"] == 2
    assert told["yaml.schemas"]["./.schema/company.json"] == ["config/leadnurture.yaml"]


def test_settings_with_comments_are_left_alone(tmp_path: Path) -> None:
    settings_file = write(tmp_path, BASE) / ".vscode/settings.json"
    settings_file.parent.mkdir()
    settings_file.write_text("{} // mine")

    assert settings_file not in write_schemas(tmp_path)
    assert settings_file.read_text() == "{} // mine"


def test_checking_writes_no_schema(tmp_path: Path) -> None:
    check_project(write(tmp_path, BASE))

    assert not (tmp_path / ".schema").exists()


def leaves_of(text: str) -> Iterator[int]:
    """The lines that end with a value."""
    for number, line in enumerate(text.split("\n")):
        if ": " in line and not line.rstrip().endswith(("{", "[")):
            yield number


ODD = [
    "7",
    "-1",
    "1.5",
    "true",
    "null",
    "[]",
    "{}",
    "[a]",
    "{a: b}",
    "text",
    '""',
    "2026-12-08",
    "10:00",
    "end",
    "none",
]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_editor_never_refuses_what_check_accepts(tmp_path: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([path for path in BASE if path.startswith("config/")]))
    lines = BASE[path].split("\n")
    number = data.draw(st.sampled_from(list(leaves_of(BASE[path]))))
    lines[number] = f"{lines[number].partition(': ')[0]}: {data.draw(st.sampled_from(ODD))}"
    damaged = "\n".join(lines)
    try:
        told = check_project(write(tmp_path, {**BASE, path: damaged}))
    finally:
        write(tmp_path, BASE)

    if not any(problem.file == path for problem in told.problems):
        assert [error.message for error in VALIDATORS[kind_of(path)].iter_errors(tree_of(damaged))] == []
