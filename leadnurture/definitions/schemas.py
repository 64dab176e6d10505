"""JSON Schemas of the YAML files for editors: the language alone, and the language with the names of this very project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from leadnurture.definitions import files
from leadnurture.definitions.check import project_names
from leadnurture.domain.vocabulary import END

if TYPE_CHECKING:
    from leadnurture.definitions.names import Names

FOLDER: Final = ".schema"
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
HOME: Final = "https://leadnurture.example/schema"
SHAPES: Final = {"company": files.Company, "content": files.Content, "track": files.Agreement, "program": files.Program}
FITS: Final = {
    "company": ["config/leadnurture.yaml"],
    "content": ["config/content/*.yaml"],
    "track": ["config/*/track.yaml"],
    "program": ["config/*/programs/*.yaml", "!config/*/programs/*.test.yaml"],
}


def static_schema(kind: str) -> dict[str, Any]:
    """The schema of `company`, `content`, `track` or `program`, whatever the project."""
    schema = SHAPES[kind].model_json_schema()
    return {"$schema": DRAFT, "$id": f"{HOME}/{kind}.json", **schema}


def project_schema(kind: str, names: Names, steps: frozenset[str]) -> dict[str, Any]:
    """The same schema, in which names are those that the project has. Steps are only offered: new ones are written all day."""
    schema = static_schema(kind)
    schema["$id"] = f"{HOME}/project/{kind}.json"
    for name, known in _known(names).items():
        if name in schema.get("$defs", {}) and known:
            schema["$defs"][name] |= {"enum": sorted(known)}
    if "StepName" in schema.get("$defs", {}):
        schema["$defs"]["StepName"] |= {"examples": sorted(steps | {END})}
        schema["$defs"]["StepName"]["anyOf"] = [{"enum": sorted(steps | {END})}, {"type": "string"}]
    return schema


def _known(names: Names) -> dict[str, frozenset[str]]:
    return {
        "ContentName": frozenset(names.contents),
        "ProgramName": frozenset(names.programs),
        "PersonName": names.people | names.roles | {"account.owner"},
        "Topic": names.topics,
        "FactName": frozenset(names.facts) | {"tag"},
    }


def write_schemas(root: Path) -> tuple[Path, ...]:
    """Write `.schema/` and the editor's settings of a project; the paths that were written. Safe to repeat."""
    names, steps = project_names(root)
    written = []
    for kind in SHAPES:
        written.append(_write(root / FOLDER / f"{kind}.json", project_schema(kind, names, steps)))
        written.append(_write(root / FOLDER / "static" / f"{kind}.json", static_schema(kind)))
    return (*written, _write_settings(root / ".vscode" / "settings.json"))


def _write_settings(path: Path) -> Path:
    """Tell the editor which schema belongs to which files; whatever else stands in its settings stays."""
    try:
        settings = json.loads(path.read_text())
    except (OSError, ValueError):
        settings = {}
    schemas = {f"./{FOLDER}/{kind}.json": fits for kind, fits in FITS.items()}
    return _write(path, {**settings, "yaml.schemas": {**settings.get("yaml.schemas", {}), **schemas}})


def _write(path: Path, tree: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n")
    return path
