"""JSON Schemas of the YAML files for editors: of the language alone, and with the names of a project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from leadnurture.definitions import files
from leadnurture.definitions.project import Project
from leadnurture.domain.vocabulary import END

FOLDER: Final = ".schema"
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
HOME: Final = "https://leadnurture.example/schema"
SHAPES: Final[dict[str, type[files.Shape]]] = {
    "company": files.Company,
    "content": files.Content,
    "track": files.Agreement,
    "program": files.Program,
}
FITS: Final = {
    "company": ["config/leadnurture.yaml"],
    "content": ["config/content/*.yaml"],
    "track": ["config/*/track.yaml"],
    "program": ["config/*/programs/*.yaml", "!config/*/programs/*.test.yaml"],
}


def write_schemas(root: Path) -> tuple[Path, ...]:
    """Write `.schema/` and the editor's settings; the paths that were written. Safe to repeat."""
    project = Project(root)
    written = []
    for kind in SHAPES:
        written.append(_write(root / FOLDER / f"{kind}.json", project_schema(kind, project)))
        written.append(_write(root / FOLDER / "static" / f"{kind}.json", static_schema(kind)))
    return (*written, *_write_settings(root / ".vscode" / "settings.json"))


def static_schema(kind: str) -> dict[str, Any]:
    """The schema of `company`, `content`, `track` or `program`, whatever the project."""
    return {"$schema": DRAFT, "$id": f"{HOME}/{kind}.json", **SHAPES[kind].model_json_schema()}


def project_schema(kind: str, project: Project) -> dict[str, Any]:
    """The same with the names that there are. Steps are only offered, for new ones are written all day."""
    schema = static_schema(kind) | {"$id": f"{HOME}/project/{kind}.json"}
    for name, choices in _choices(project).items():
        if name in schema["$defs"]:
            schema["$defs"][name] |= choices
    return schema


def _choices(project: Project) -> dict[str, dict[str, Any]]:
    names = project.names()
    known = {
        "ContentName": names.contents,
        "ProgramName": names.programs,
        "PersonName": names.people | names.roles | {"account.owner"},
        "Topic": names.topics,
        "FactName": {*names.facts, "tag"},
    }
    offered = {"anyOf": [{"enum": sorted({*project.steps(), END})}, {"type": "string"}]}
    return {"StepName": offered} | {name: {"enum": sorted(there)} for name, there in known.items() if there}


def _write_settings(path: Path) -> tuple[Path, ...]:
    """Tell the editor which schema belongs to which files. Settings with comments stay as they are."""
    try:
        settings = json.loads(path.read_text()) if path.exists() else {}
    except ValueError:
        return ()
    schemas = {f"./{FOLDER}/{kind}.json": fits for kind, fits in FITS.items()}
    return (_write(path, {**settings, "yaml.schemas": {**settings.get("yaml.schemas", {}), **schemas}}),)


def _write(path: Path, tree: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n")
    return path
