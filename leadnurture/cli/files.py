"""Commands about the project's files and its database: check, apply, migrate, doctor, schema."""

from typing import TYPE_CHECKING

import typer

from leadnurture.app import apply_project, examine, find_project, machine_now, migrate_project, open_project
from leadnurture.cli.output import HERE, Format, OutputFormat, ProjectFolder, show, told

if TYPE_CHECKING:
    from leadnurture.engine import Applied


def check(project: ProjectFolder = HERE, form: OutputFormat = Format.text) -> None:
    """List all that is wrong in the project's files.

    Each problem has its place and remedy. Nothing is changed, and no database is needed.
    """
    examined = examine(project.resolve(), machine_now())
    found = {"errors": examined.errors, "warnings": examined.warnings}
    show(
        found, form, lambda: "\n".join((*examined.errors, *examined.warnings, _verdict(len(examined.errors))))
    )
    if examined.errors:
        raise typer.Exit(1)


def _verdict(errors: int) -> str:
    if not errors:
        return "Everything is right."
    return f"{errors} problem{'s' if errors > 1 else ''} to mend."


def apply(project: ProjectFolder = HERE, form: OutputFormat = Format.text) -> None:
    """Let the project's files hold from now on.

    They are checked first, all or nothing. Leads in flight move to the new versions.
    """
    opened = open_project(project)
    applied = apply_project(opened, opened.clock())
    show(applied, form, lambda: _told_of(applied))


def _told_of(applied: "Applied") -> str:
    if not (applied.programs or applied.sessions or applied.moved):
        return f"Version {applied.version} holds; no program and no session has changed."
    lines = [f"Version {applied.version} holds from now on."]
    if applied.programs:
        lines.append(f"Programs that are new or changed: {', '.join(applied.programs)}")
    if applied.sessions:
        lines.append(f"Sessions that are new, moved or cancelled: {', '.join(applied.sessions)}")
    if applied.moved:
        lines.append(f"{applied.moved:,} enrollments moved along.")
    return "\n".join(lines)


def migrate(project: ProjectFolder = HERE) -> None:
    """Bring the database to the newest schema."""
    told(
        "The schema is the newest now." if migrate_project(project) else "The schema was the newest already."
    )


def schema(project: ProjectFolder = HERE) -> None:
    """Write the JSON Schemas for the editor.

    With them it completes and checks the project's files while you write.
    """
    from leadnurture.definitions import write_schemas

    root = find_project(project)
    for path in write_schemas(root):
        told(f"{path.relative_to(root)} is written.")


def doctor(project: ProjectFolder = HERE, form: OutputFormat = Format.text) -> None:
    """Look at the installation and say what hinders it."""
    from leadnurture.cli.doctor import examine_installation

    findings = examine_installation(find_project(project))
    show(findings, form, lambda: "\n".join(map(str, findings)))
    if not all(finding.is_fine for finding in findings):
        raise typer.Exit(1)
