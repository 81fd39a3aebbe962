"""A request as it is meant: what it says, else what its user prefers, else what a flag tries.

A flag acts whole or not at all: where the request or its user has chosen one of the things that the
flag's variants change, it chooses nothing and counts nothing, so that the variants are compared on
work that they alone decided. Next: `routing.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from telebot.records.choices import Stored
from telebot.voice.defaults import NOTHING, OPEN, Defaults, Privacy, UserPreferences
from telebot.voice.flags import Flag
from telebot.voice.offers import WORKS, Work
from telebot.voice.preferences import ANYBODY, Preferences

BY_WORK = frozenset({"model", "provider"})
# who does it is chosen as a whole
WHO = frozenset({"model", "provider", "voice"})
WHOM = frozenset({"order", "only", "sort"})  # of `provider`: whom to ask, as a model names it
PLAIN_FIELDS = ("speed", "language", "format", "sample_rate", "agent")
A = TypeVar("A", bound=BaseModel)


class Kept(Protocol):
    """Where preferences and flags are kept (`records.choices.Choices`)."""

    async def preferences(self, owner: str, user: str) -> Mapping[str, Any] | None: ...

    async def flags(self) -> Mapping[str, Stored]: ...


@dataclass(frozen=True, slots=True)
class Under:
    """What a piece of work ran under, for its record: `user` is empty where they are not to be
    linked with it, `variant` lists ``flag:variant`` with commas. `voices` are the usual ones at
    each provider, `keep` is False where nothing that was said may be kept. `agent` is whose work it
    is, where it is an agent's."""

    user: str = ""
    variant: str = ""
    privacy: Privacy = OPEN
    voices: Mapping[str, str] = field(default_factory=dict)
    agent: str = ""

    @property
    def keep(self) -> bool:
        return self.privacy.keep


PLAINLY = Under()


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen for one request beside what it says: `whose` are the user's preferences,
    `tried` what flags choose."""

    whose: UserPreferences
    tried: Sequence[Defaults]
    under: Under

    def model(self, work: Work, said: str | None, provider: Preferences = ANYBODY) -> str | None:
        """The model to name, where the request names none (`said`) and no providers either."""
        if said or provider.model_fields_set & WHOM:
            return said
        return next((found for each in self._all() if (found := getattr(each.model, work))), None)

    def provider(self, work: Work, said: Preferences, model: str | None = None) -> Preferences:
        """Who may do it: field by field what the request says, else what was chosen. `model` is
        what the request names: whom to ask is not chosen by anybody else then."""
        merged = _said(said)
        named = model is not None or bool(merged.keys() & WHOM)
        for each in self._all():
            chosen: Preferences | None = getattr(each.provider, work)
            for name, value in ({} if chosen is None else _said(chosen)).items():
                if not (named and name in WHOM):
                    merged.setdefault(name, value)
        if self.under.privacy.data_collection == "deny":
            merged["data_collection"] = "deny"
        return said if merged == _said(said) else Preferences.model_construct(**merged)

    def plain(self, name: str) -> Any:
        """One of `PLAIN_FIELDS` that the request does not say; None where nobody chose it."""
        return next(
            (found for each in self._all() if (found := getattr(each, name)) is not None), None
        )

    def _all(self) -> list[Defaults]:
        return [self.whose, *self.tried]


class Tailor:
    """Looks up what was chosen. Raises `RecordsAway`: without knowing what a user allows nothing is
    done for them."""

    def __init__(self, kept: Kept | None = None) -> None:
        self._kept = kept
        self._read: dict[str, _Read] = {}  # each as it was read last

    async def plainly(self, owner: str, user: str | None) -> Under | None:
        """What a request runs under for which nothing is chosen, whatever it says; None where
        something may be. Most requests are such."""
        if self._kept is None:
            return Under(user) if user else PLAINLY
        if await self.preferences(owner, user or "") is not NOTHING or await self._flags():
            return None
        return Under(user) if user else PLAINLY

    async def chosen(
        self, owner: str, user: str | None, works: Sequence[Work], said: frozenset[str],
        fields: frozenset[str],
    ) -> Chosen:  # fmt: skip
        """For a request of these `works` that has these `fields` and says `said` of them."""
        if self._kept is None:
            return Chosen(NOTHING, (), Under(user=user or ""))
        whose = await self.preferences(owner, user or "")
        privacy = whose.privacy
        wanted = _keys(fields, works)
        closed = _closing(_keys(said, works) | _touched(whose))
        if "voice" in said or privacy.data_collection == "deny":
            closed |= _keys(WHO, works)
        tried: list[Defaults] = []
        variants: list[str] = []
        for read in (await self._flags()) if privacy.experiments else ():
            touched = read.touched & wanted
            if not touched or touched & closed:
                continue
            closed |= _closing(touched)
            variant, settings = read.flag.drawn(read.stored.name, owner, user or "")
            variants.append(f"{read.stored.name}:{variant}")
            if settings is not None:
                tried.append(settings)
        voices: dict[str, str] = {}
        for each in reversed([whose, *tried]):
            voices |= each.voice
        linked = (user or "") if privacy.link else ""
        return Chosen(whose, tried, Under(linked, ",".join(variants), privacy, voices))

    async def variants(self, owner: str, user: str) -> dict[str, str]:
        """The variant of every flag that is on, as a user is drawn."""
        whose = await self.preferences(owner, user)
        if self._kept is None or not whose.privacy.experiments:
            return {}
        return {
            read.stored.name: read.flag.drawn(read.stored.name, owner, user)[0]
            for read in await self._flags()
        }

    async def preferences(self, owner: str, user: str) -> UserPreferences:
        """The user's, over what holds for all of the owner's users. Privacy adds up: what either
        forbids is forbidden."""
        if self._kept is None:
            return NOTHING
        general = await self._kept.preferences(owner, "")
        own = await self._kept.preferences(owner, user) if user else None
        if general is None or own is None:
            found = general or own
            return UserPreferences.model_validate(found) if found else NOTHING
        merged = UserPreferences.model_validate(_over(general, own))
        every = (UserPreferences.model_validate(each).privacy for each in (general, own))
        return merged.model_copy(update={"privacy": _strictest(*every)})

    async def _flags(self) -> list[_Read]:
        """Those that are on. One of another version acts on nobody."""
        if self._kept is None:
            return []
        kept = await self._kept.flags()
        if any(self._read.get(name) is None or self._read[name].stored is not each
               for name, each in kept.items()) or len(kept) != len(self._read):  # fmt: skip
            self._read = {name: _read(each) for name, each in kept.items()}
        return [read for read in self._read.values() if read.touched and read.flag.enabled]


@dataclass(frozen=True, slots=True)
class _Read:
    """A flag as it was read, with all that its variants choose something for."""

    stored: Stored
    flag: Flag
    touched: frozenset[str]


NO_FLAG = Flag.model_validate({"enabled": False, "variants": [{"name": "none"}]})


def _read(stored: Stored) -> _Read:
    try:
        flag = Flag.model_validate(stored.tree)
    except ValidationError:
        return _Read(stored, NO_FLAG, frozenset())
    return _Read(stored, flag, _touched(*(variant.settings for variant in flag.variants)))


def tailored(asked: A, chosen: Chosen, work: Work) -> A:
    """A request of one kind of work (`model` and `provider` beside plain fields) with what was
    chosen where it says nothing."""
    said, has = said_in(asked), type(asked).model_fields
    changed: dict[str, Any] = {}
    for name in PLAIN_FIELDS:
        if name in has and name not in said and (found := chosen.plain(name)) is not None:
            changed[name] = found
    model, provider = getattr(asked, "model", None), getattr(asked, "provider", ANYBODY)
    changed["model"] = chosen.model(work, model, provider)
    changed["provider"] = chosen.provider(work, provider, model)
    return asked.model_copy(update=changed)


def said_in(asked: BaseModel) -> frozenset[str]:
    """The fields that a request says something in."""
    said = {name for name in asked.model_fields_set if getattr(asked, name) is not None}
    return frozenset(said)


def _said(prefers: Preferences) -> dict[str, Any]:
    return {name: getattr(prefers, name) for name in prefers.model_fields_set}


def _touched(*several: Defaults) -> frozenset[str]:
    """What these choose something for, as `_keys` names it."""
    found: set[str] = set()
    for each in several:
        for work in WORKS:
            if getattr(each.model, work) is not None:
                found.add(f"model.{work}")
            if getattr(each.provider, work) is not None:
                found.add(f"provider.{work}")
        if each.voice:
            found.add("voice")
        found |= {name for name in PLAIN_FIELDS if getattr(each, name) is not None}
    return frozenset(found)


def _keys(names: frozenset[str], works: Sequence[Work]) -> frozenset[str]:
    """Fields of a request, `model` and `provider` by kind of work."""
    by_work = {f"{name}.{work}" for name in names & BY_WORK for work in works}
    return (names - BY_WORK) | by_work


def _closing(keys: frozenset[str]) -> frozenset[str]:
    """With a model its provider is chosen, and the other way round."""
    works = {key.partition(".")[2] for key in keys if "." in key}
    return keys | {f"{name}.{work}" for name in BY_WORK for work in works}


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two trees, `above` before `below` in every leaf."""
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            merged[name] = _over(under, value)
        else:
            merged[name] = value
    return merged


def _strictest(one: Privacy, other: Privacy) -> Privacy:
    deny = "deny" in (one.data_collection, other.data_collection)
    return Privacy(
        data_collection="deny" if deny else "allow",
        keep=one.keep and other.keep,
        link=one.link and other.link,
        experiments=one.experiments and other.experiments,
    )
