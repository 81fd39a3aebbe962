"""`/v1/voice/config/export` and `/import`: preferences, flags, keys' limits and providers' keys as
one document. Secrets leave only sealed under a passphrase that the caller gives.

An import is checked as a whole before anything is written, and then written whole or not at all.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from telebot.api.answers import PRIVATE, answer
from telebot.api.calls import Endpoint
from telebot.api.keys import KeyTerms
from telebot.api.query import body_of, strictly
from telebot.api.voice.config import StoreKey
from telebot.api.voice.document import (
    ChangeRow,
    Document,
    FlagPart,
    ImportAnswer,
    ImportRequest,
    KeyPart,
    PreferencesPart,
    ProviderKeyPart,
    SealingPart,
)
from telebot.api.voice.preferences import check_names, tree
from telebot.api.voice.transcribe import WhoAsks
from telebot.call.errors import ApiError
from telebot.call.ports import WallClock
from telebot.records.choices import MOST_FLAGS, MOST_USERS, Tree
from telebot.records.keys import Scope, Tier
from telebot.records.passphrase import DoesNotOpen, Parameters, Sealed
from telebot.records.portable import Change, Portable, Wanted
from telebot.records.vault import MOST_KEYS, Brought, SealedElsewhere
from telebot.voice.defaults import Defaults, UserPreferences
from telebot.voice.flags import Flag
from telebot.voice.service import Voice

PATH = "/v1/voice/config"
PASSPHRASE = "X-Passphrase"  # a query would stand in logs
LEAST_CHARS, MOST_CHARS = 12, 1024
MOST_BYTES = 16 << 20
MOST_FAULTS = 50
SUBJECT = re.compile(r"[0-9a-f]{32}\Z")  # a bearer's, who has no API key
M = TypeVar("M", bound=BaseModel)


class PortableApi:
    """The endpoints."""

    def __init__(
        self,
        portable: Portable,
        voice: Voice,
        who: WhoAsks,
        now: WallClock,
        *,
        agents: Collection[str] = (),
    ) -> None:
        self._agents = agents
        self._portable = portable
        self._voice = voice
        self._who = who
        self._now = now

    def endpoints(self) -> list[Endpoint]:
        admin = Scope.ADMIN
        why = f"{LEAST_CHARS} characters or more: seals providers' keys into the document"
        return [
            Endpoint("GET", f"{PATH}/export", self.export_config, admin,
                     "All of the configuration that is kept; secrets sealed, or left out",
                     Document, failures=(400, 409), headers=((PASSPHRASE, why),)),
            Endpoint("POST", f"{PATH}/import", self.import_config, admin,
                     "Put a document in, whole or not at all", ImportAnswer,
                     failures=(400, 408, 413, 422), body=ImportRequest),
        ]  # fmt: skip

    async def export_config(self, request: web.Request) -> web.Response:
        passphrase = request.headers.get(PASSPHRASE)
        if passphrase is not None and not LEAST_CHARS <= len(passphrase) <= MOST_CHARS:
            why = f"{PASSPHRASE}: {LEAST_CHARS} to {MOST_CHARS} characters."
            raise ApiError(400, "invalid_parameter", why, PASSPHRASE)
        try:
            body = await self._document(self._who(request), passphrase)
        except ValidationError:
            message = "Something was kept by another version: put it anew, or delete it."
            raise ApiError(409, "config_of_another_version", message) from None
        await self._portable.exported(self._who(request), secrets=passphrase is not None)
        headers = {"Content-Disposition": 'attachment; filename="telebot-config.json"'}
        return web.Response(body=body, content_type="application/json", headers=PRIVATE | headers)

    async def _document(self, who: str, passphrase: str | None) -> bytes:
        sealed = await asyncio.to_thread(Sealed.of, passphrase) if passphrase else None
        parts = []
        try:
            opened = await self._portable.opened() if sealed else []
        except SealedElsewhere as error:
            raise ApiError(503, "keys_sealed", f"{error}.") from None
        every = self._voice.settings.export_secrets == "all"  # as the server's operator says
        secrets = {it.key.id: it.secret for it in opened if every or it.key.owner == who}
        for key in await self._portable.provider_keys():
            part = ProviderKeyPart(
                owner=key.owner, provider=key.provider, label=key.label, masked=key.masked,
                order=key.position, is_fallback=key.fallback, allowed_models=key.allowed_models,
            )  # fmt: skip
            if sealed and key.id in secrets:
                part.secret = sealed.seal(secrets[key.id], part.bound)
            parts.append(part)
        made = sealed.parameters if sealed else None
        document = Document(
            exported_at=self._now(),
            sealing=SealingPart(n=made.n, r=made.r, p=made.p, salt=made.salt) if made else None,
            flags=[
                FlagPart(name=name, flag=Flag.model_validate(tree))
                for name, tree in (await self._portable.flags()).items()
            ],
            keys=[
                KeyPart(id=key.id, name=key.name, scope=key.scope.value, terms=_terms(key))
                for key in await self._portable.keys()
            ],
            provider_keys=parts,
        )
        return await asyncio.to_thread(_written, document, await self._portable.preferences())

    async def import_config(self, request: web.Request) -> web.Response:
        asked = await asyncio.to_thread(_whole, await body_of(request, MOST_BYTES))
        faults = _Faults()
        wanted = await self._wanted(asked, faults)
        faults.raise_any()
        if asked.dry_run:
            changes = await self._portable.changes(wanted)
        else:
            changes = await self._portable.put(wanted, self._who(request))
        return await asyncio.to_thread(_answered, changes, applied=not asked.dry_run)

    async def _wanted(self, asked: ImportRequest, faults: _Faults) -> Wanted:
        document, owners = asked.document, _Owners(asked.owners, faults)
        owners.known = {key.id for key in await self._portable.keys()}
        preferences = None
        if document.preferences is not None:
            preferences = await asyncio.to_thread(
                self._preferences, document.preferences, owners, faults
            )
            before = [] if asked.mode == "replace" else await self._portable.preferences()
            users = Counter(owner for owner, user in {*before, *preferences} if user)
            for owner, count in users.items():
                if count > MOST_USERS:
                    faults.add("preferences", f"{owner} would have more than {MOST_USERS} users")
        flags = None
        if document.flags is not None:
            flags = dict(self._flags(document.flags, faults))
            there = {} if asked.mode == "replace" else await self._portable.flags()
            if len({*there, *flags}) > MOST_FLAGS:
                faults.add("flags", f"there would be more than {MOST_FLAGS}")
        keys = None
        if document.keys is not None:
            keys = {
                owners.of(each.id, f"keys.{at}.id", key=True): _columns(each.terms)
                for at, each in enumerate(document.keys)
            }
            faults.twice("keys", len(document.keys), keys)
        provider_keys = None
        if document.provider_keys is not None:
            provider_keys = await self._provider_keys(asked, owners, faults)
        return Wanted(preferences, flags, keys, provider_keys, asked.mode == "replace")

    def _preferences(
        self, parts: list[PreferencesPart], owners: _Owners, faults: _Faults
    ) -> dict[tuple[str, str], dict[str, Any]]:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for at, each in enumerate(parts):
            where = f"preferences.{at}"
            name = (owners.of(each.owner, f"{where}.owner"), each.user or "")
            if name in found:
                faults.add(where, "the same user twice")
            self._names(each.preferences, f"{where}.preferences.", faults)
            found[name] = tree(each.preferences)
        return found

    def _flags(
        self, parts: list[FlagPart], faults: _Faults
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        faults.twice("flags", len(parts), {each.name for each in parts})
        for at, each in enumerate(parts):
            for number, variant in enumerate(each.flag.variants):
                where = f"flags.{at}.flag.variants.{number}.settings."
                self._names(variant.settings, where, faults)
            yield each.name, tree(each.flag)

    def _names(self, chosen: Defaults, where: str, faults: _Faults) -> None:
        try:
            check_names(chosen, self._voice, self._agents, where)
        except ApiError as error:
            faults.add(error.param or where, str(error))

    async def _provider_keys(
        self, asked: ImportRequest, owners: _Owners, faults: _Faults
    ) -> list[Brought]:
        sealed = await self._sealed(asked, faults)
        stored = await self._portable.provider_keys()
        there = {(key.owner, key.provider, key.label) for key in stored}
        found: list[Brought] = []
        for at, each in enumerate(asked.document.provider_keys or []):
            where = f"provider_keys.{at}"
            owner = owners.of(each.owner, f"{where}.owner")
            key = Brought(
                owner, each.provider, each.label, each.order, each.is_fallback,
                each.allowed_models, _opened(each, sealed, where, faults),
            )  # fmt: skip
            if each.provider not in self._voice.providers():
                faults.add(f"{where}.provider", f"no provider {each.provider!r}")
            if each.secret is None and key.name not in there:
                faults.add(f"{where}.secret", "there is no such key yet, so it needs its secret")
            found.append(key)
        faults.twice("provider_keys", len(found), {key.name for key in found})
        kept = set() if asked.mode == "replace" else there
        for owner, count in Counter(name[0] for name in kept | {it.name for it in found}).items():
            if count > MOST_KEYS:
                faults.add("provider_keys", f"{owner} would have more than {MOST_KEYS}")
        return found

    @staticmethod
    async def _sealed(asked: ImportRequest, faults: _Faults) -> Sealed | None:
        made, passphrase = asked.document.sealing, asked.passphrase
        if made is None or passphrase is None:
            return None
        parameters = Parameters(made.n, made.r, made.p, made.salt)
        try:
            return await asyncio.to_thread(Sealed.of, passphrase.get_secret_value(), parameters)
        except DoesNotOpen as error:
            faults.add("document.sealing", f"{error}")
            return None


class _Faults:
    """All that is wrong with a document, so that it is mended once."""

    def __init__(self) -> None:
        self._found: list[dict[str, str]] = []

    def add(self, where: str, why: str) -> None:
        self._found.append({"where": where, "why": why})

    def twice(self, section: str, count: int, names: Any) -> None:
        if len(names) < count:
            self.add(section, "the same one twice")

    @property
    def enough(self) -> bool:
        """More would not be told."""
        return len(self._found) >= MOST_FAULTS

    def raise_any(self) -> None:
        """Raises `ApiError` (422)."""
        if self._found:
            first = self._found[0]
            message = f"{first['where']}: {first['why']}."
            told = {"faults": self._found[:MOST_FAULTS], "count": len(self._found)}
            raise ApiError(422, "invalid_document", message, first["where"], metadata=told)


class _Owners:
    """Owners of the document as they are called here."""

    def __init__(self, names: Mapping[str, str], faults: _Faults) -> None:
        self._names = names
        self._faults = faults
        self.known: set[str] = set()

    def of(self, owner: str, where: str, *, key: bool = False) -> str:
        """`key`: a bearer's subject will not do."""
        name = self._names.get(owner, owner)
        if name not in self.known and (key or not SUBJECT.match(name)):
            self._faults.add(where, f"no live API key {name}; `owners` may say whom it is here")
        return name


def _opened(
    part: ProviderKeyPart, sealed: Sealed | None, where: str, faults: _Faults
) -> str | None:
    if part.secret is None:
        return None
    if sealed is None:
        faults.add(f"{where}.secret", "sealed: send the passphrase, and the document's `sealing`")
        return None
    try:
        secret = sealed.open(part.secret, part.bound)
        StoreKey.model_validate({"provider": part.provider, "key": secret})
    except DoesNotOpen as error:
        faults.add(f"{where}.secret", f"does not open: {error}")
        return None
    except ValidationError:
        faults.add(f"{where}.secret", "is no provider's key")
        return None
    return secret


def _terms(key: Any) -> KeyTerms:
    return KeyTerms(
        requests_per_minute=key.requests_per_minute,
        monthly_budget=key.monthly_budget,
        models=key.models,
        tier=key.tier.value,
        expires_at=key.expires_at,
    )


def _columns(terms: KeyTerms) -> dict[str, Any]:
    return terms.model_dump() | {"tier": Tier(terms.tier), "models": tuple(terms.models)}


def _written(document: Document, preferences: Mapping[tuple[str, str], Tree]) -> bytes:
    """A document as JSON. For a thread, as all below: there may be 100,000 users, each is taken by
    itself, and calls go on between them. Raises ValidationError."""
    told = document.model_dump()
    told["preferences"] = [
        PreferencesPart(
            owner=owner, user=user or None, preferences=UserPreferences.model_validate(tree)
        ).model_dump()
        for (owner, user), tree in preferences.items()
    ]
    return orjson.dumps(told)


def _answered(changes: Sequence[Change], *, applied: bool) -> web.Response:
    rows = [ChangeRow(section=it.section, action=it.action, name=it.name) for it in changes]
    return answer(ImportAnswer(applied=applied, changes=rows))


def _whole(body: bytes) -> ImportRequest:
    """What an import asks. Raises `ApiError`: 400 where it is no JSON object, 422 with the faults
    of it."""
    try:
        found = orjson.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ApiError(400, "invalid_json", "Send a JSON object.")
    faults = _Faults()
    users, document = None, found.get("document")
    if isinstance(document, dict) and isinstance(document.get("preferences"), list):
        users = document["preferences"]
        document["preferences"] = []
    asked = _checked(ImportRequest, found, "", faults)
    parts: list[PreferencesPart] = []
    for at, each in enumerate(users or ()):
        if faults.enough:
            break
        values = each if isinstance(each, dict) else {"": each}
        part = _checked(PreferencesPart, values, f"document.preferences.{at}.", faults)
        parts += [] if part is None else [part]
    faults.raise_any()
    assert asked is not None
    if users is not None:
        asked.document.preferences = parts
    return asked


def _checked(model: type[M], values: dict[str, Any], where: str, faults: _Faults) -> M | None:
    try:
        return strictly(model, values)
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False, include_context=False):
            why = "no such field" if each["type"] == "extra_forbidden" else each["msg"]
            faults.add((where + ".".join(str(part) for part in each["loc"]))[:200], why)
    return None
