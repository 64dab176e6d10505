"""A report as what JSON knows: every value of the reports can be told to a machine."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime


def as_json(value: object) -> object:
    """Dicts, lists, texts, numbers; instants and dates as ISO 8601."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(each) for each in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value
