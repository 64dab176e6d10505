"""Hides YAML and its traps: files in, the frozen values of the domain out, or all of their problems."""

from leadnurture.definitions.check import Checked, check_project
from leadnurture.definitions.conditions import parse_condition
from leadnurture.definitions.problems import Problem
from leadnurture.definitions.schemas import write_schemas
from leadnurture.definitions.stored import (
    dump_ask,
    dump_definitions,
    dump_program,
    load_ask,
    load_definitions,
    load_program,
)

__all__ = [
    "Checked",
    "Problem",
    "check_project",
    "dump_ask",
    "dump_definitions",
    "dump_program",
    "load_ask",
    "load_definitions",
    "load_program",
    "parse_condition",
    "write_schemas",
]
