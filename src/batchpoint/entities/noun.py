"""What every noun shares: it is frozen, refuses unknown keys, and knows the other spellings of its keys.

The entity modules build on it; ``from_yaml`` and ``arm`` read the tables. It knows no file, wire or store.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer
from pydantic_core import PydanticCustomError

from batchpoint.entities.naming.names import NameRule

#: What a list shows of things that can be archived.
ListView = Literal["ActiveOnly", "ArchivedOnly", "All"]


class Noun(BaseModel):
    """A resource or a part of one, as users write it and as the store keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, protected_namespaces=())

    #: Older or nested key paths → the path that this class uses. ``""`` drops the key.
    spellings: ClassVar[dict[str, str]] = {}
    #: Those of ``spellings`` that get a note: nobody writes them so today.
    dated: ClassVar[frozenset[str]] = frozenset()
    #: Keys that ``show`` prints and a file may carry back; the loader drops them.
    output_only: ClassVar[frozenset[str]] = frozenset()
    #: ``key`` or ``key=value`` → why it is not taken here, and what to do. Such a key belongs to another kind of file,
    #: and so does a refused ``type``: nothing else is said about a file that has one.
    refusals: ClassVar[dict[str, str]] = {}
    #: Required keys → how to write one, after "add".
    examples: ClassVar[dict[str, str]] = {}
    #: Keys that hold a name → its rule.
    name_rules: ClassVar[dict[str, NameRule]] = {}
    #: Name of the schema in messages, as the field's users know it.
    schema_name: ClassVar[str] = ""


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def snake_cased(value: object) -> object:
    """``aadToken`` as ``aad_token``; anything but text as it is."""
    return re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", value).lower() if isinstance(value, str) else value


#: Enum values are compared without case.
Lowered = BeforeValidator(_lowered)


def problem_with(key: str, message: str) -> PydanticCustomError:
    """What a check across keys raises: the key to mend, and a sentence."""
    return PydanticCustomError("noun", "{message}", {"message": message, "key": key})


def _said(value: str) -> str:
    if not value:
        raise PydanticCustomError("noun", "{message}", {"message": "a tag needs a value; write one or remove the tag"})
    return value


#: Values are never empty.
Tags = dict[str, Annotated[str, AfterValidator(_said)]]


#: A time with its offset spelled ``+00:00``, as the field's clients print it.
Moment = Annotated[datetime, PlainSerializer(datetime.isoformat, return_type=str, when_used="json")]


class CreationContext(Noun):
    """Who made a resource and when; printed as ``creation_context``."""

    created_at: Moment
    created_by: str = ""
    created_by_type: str = "User"
    last_modified_at: Moment
    last_modified_by: str = ""
    last_modified_by_type: str = "User"


def created_now(user: str = "", at: datetime | None = None, kind: str = "User") -> CreationContext:
    """The context of a resource made now (or at ``at``) by ``user``; ``kind`` is ``User`` or ``Application``."""
    moment = at or datetime.now(UTC)
    return CreationContext(
        created_at=moment,
        created_by=user,
        created_by_type=kind,
        last_modified_at=moment,
        last_modified_by=user,
        last_modified_by_type=kind,
    )
