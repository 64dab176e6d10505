"""What a template may call by name. Everything else is a problem with its place, before any mail is sent."""

from collections.abc import Mapping
from typing import NamedTuple

from leadnurture.definitions.mails import SINGLE
from leadnurture.definitions.names import DECLARE_FACT
from leadnurture.definitions.problems import unknown


class Path(NamedTuple):
    """`lead.first_name`, or a name without a dot."""

    root: str
    attribute: str | None

    def __str__(self) -> str:
        return self.root if self.attribute is None else f"{self.root}.{self.attribute}"


def objection(path: Path, names: Mapping[str, frozenset[str]]) -> str | None:
    """The sentence about a name that is not there; None when all is well."""
    if path.root in SINGLE:
        return None if path.attribute is None else f'"{path.root}" is one text; nothing stands behind a dot'
    if path.root not in names:
        return unknown("name", path.root, [*SINGLE, *names])
    if path.attribute is None:
        return f'"{path.root}" needs a dot and one of {", ".join(sorted(names[path.root]))}'
    if path.attribute not in names[path.root]:
        remedy = DECLARE_FACT if path.root in {"facts", "account"} else ""
        return unknown(f"name behind {path.root}.", path.attribute, names[path.root], remedy)
    return None
