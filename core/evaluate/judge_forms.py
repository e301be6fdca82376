"""The form of a judge's reply: the JSON schema of it, and the reading of what came. The rationale is always first, so
that a mark follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from core.evaluate.request import DANGERS, Danger
from core.evaluate.verdicts import Matter, Preferred
from core.reward.judge_prompt import json_object

SAFETY = "safety"
PREFERRED = "preferred"

_TEXT: Mapping[str, Any] = {"type": "string"}
_YES_OR_NO: Mapping[str, Any] = {"type": "boolean"}


class Unreadable(Exception):
    """A reply holds no verdict; `str(error)` says what is wrong with it, in words that are none of the judge's."""


@dataclass(frozen=True)
class Reading:
    """What a judge said; see `core.evaluate.verdicts.Verdict` for the fields."""

    scores: Mapping[str, int] = field(default_factory=dict)
    rationales: Mapping[str, str] = field(default_factory=dict)
    dangers: Mapping[Danger, bool] = field(default_factory=dict)
    preferred: Preferred | None = None


class _Part(BaseModel):
    """An object in a reply. Nothing is converted: neither "4" nor 4.5 nor true is a mark."""

    model_config = ConfigDict(strict=True)

    rationale: Annotated[str, Field(strict=True)]


class _Mark(_Part):
    score: int = Field(ge=1, le=5)


class _Met(_Part):
    met: bool


class _Dangers(_Part):
    dose: bool
    contraindication: bool
    missed_emergency: bool


class _Preference(_Part):
    preferred: Preferred


_Kind = TypeVar("_Kind", bound=_Part)
_OBJECT = TypeAdapter(dict[str, JsonValue])


@dataclass(frozen=True)
class Form:
    """What a reply has to hold.

    Attributes:
        matter: what it is about.
        names: the dimensions that are marked, or the items of the rubric; none for a pair.
        safety: whether dangers are looked for as well.
    """

    matter: Matter
    names: tuple[str, ...] = ()
    safety: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema, with nothing optional and nothing more allowed, as strict structured output wants it."""
        if self.matter == "pairwise":
            return _object({"rationale": _TEXT, PREFERRED: {"type": "string", "enum": list(get_args(Preferred))}})
        score = {"type": "integer", "enum": [1, 2, 3, 4, 5]}
        mark = {"met": _YES_OR_NO} if self.matter == "rubric" else {"score": score}
        parts = {name: _object({"rationale": _TEXT, **mark}) for name in self.names}
        if self.safety:
            parts[SAFETY] = _object({"rationale": _TEXT, **dict.fromkeys(DANGERS, _YES_OR_NO)})
        return _object(parts)

    def read(self, reply: str) -> Reading:
        """The verdict in a reply, which may have other text or a code fence around it.

        Raises:
            Unreadable: there is none, or a part of it is wanting; nothing is guessed.

        >>> Form("dimensions", ("accuracy",)).read('{"accuracy": {"rationale": "Right.", "score": 4}}').scores
        {'accuracy': 4}
        """
        try:
            found = _OBJECT.validate_json(json_object(reply))
        except ValidationError:
            raise Unreadable("it is no JSON object" if reply.strip() else "it is empty") from None
        if self.matter == "pairwise":
            preference = _part(_Preference, found, "")
            return Reading(rationales={PREFERRED: preference.rationale}, preferred=preference.preferred)
        return self._marks(found)

    def _marks(self, found: Mapping[str, JsonValue]) -> Reading:
        scores, rationales = {}, {}
        for name in self.names:
            if self.matter == "rubric":
                met = _part(_Met, found.get(name), name)
                scores[name], rationales[name] = int(met.met), met.rationale
            else:
                mark = _part(_Mark, found.get(name), name)
                scores[name], rationales[name] = mark.score, mark.rationale
        if not self.safety:
            return Reading(scores, rationales)
        seen = _part(_Dangers, found.get(SAFETY), SAFETY)
        return Reading(scores, {**rationales, SAFETY: seen.rationale}, {name: getattr(seen, name) for name in DANGERS})


def _part(kind: type[_Kind], value: object, name: str) -> _Kind:
    """One object of a reply.

    Raises:
        Unreadable: it is not there or not as it should be; names the first field that is wrong.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(part for part in (name, *map(str, first["loc"])) if part)
        raise Unreadable(f"{where} is missing or wrong ({first['type'].replace('_', ' ')})") from None


def _object(parts: Mapping[str, Any]) -> dict[str, Any]:
    names: Sequence[str] = list(parts)
    return {"type": "object", "properties": dict(parts), "required": names, "additionalProperties": False}
