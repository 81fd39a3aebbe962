"""`/v1/voice/config/provider`: providers' keys of one's own, tried before the house's.

Each belongs to the API key that stored it; nobody else sees even that it is there. Secrets go in
and never come out.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from aiohttp import web
from pydantic import ConfigDict, Field

from telebot.api.answers import PRIVATE, answer
from telebot.api.calls import Endpoint
from telebot.api.query import body_of, parsed, read
from telebot.call.errors import ApiError, Local
from telebot.models import LazyModel
from telebot.records.keys import Scope
from telebot.records.vault import MAX_SECRET_CHARS, StoredKey, Vault

PATH = "/v1/voice/config/provider"
Name = Annotated[str, Field(min_length=1, max_length=128)]
MOST_AUDITED = 200


class StoreKey(LazyModel):
    """A provider's key to keep."""

    model_config = ConfigDict(extra="forbid")

    provider: Name
    key: Annotated[str, Field(min_length=1, max_length=MAX_SECRET_CHARS, pattern=r"^[!-~]+$")] = (
        Field(repr=False)
    )
    label: Annotated[str, Field(max_length=128)] = Field("", description="one key for each label")
    order: int = Field(0, ge=0, le=1000, description="the lowest is tried first")
    is_fallback: bool = Field(False, description="tried after the house's key, not before")
    allowed_models: Annotated[tuple[Name, ...], Field(max_length=100)] = Field(
        (), description="models it may be used for; empty: any"
    )


class WhichKeys(LazyModel):
    """Which keys are meant."""

    model_config = ConfigDict(extra="forbid")

    provider: Name = Field(description="of this provider")
    label: Annotated[str, Field(max_length=128)] | None = Field(
        None, description="with this label; else all of them"
    )


class KeyRow(LazyModel):
    """A stored key. Its secret is not shown again."""

    id: str
    provider: str
    label: str
    masked: str
    order: int
    is_fallback: bool
    allowed_models: list[str]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, key: StoredKey) -> KeyRow:
        return cls(
            id=key.id,
            provider=key.provider,
            label=key.label,
            masked=key.masked,
            order=key.position,
            is_fallback=key.fallback,
            allowed_models=list(key.allowed_models),
            created_at=key.created_at,
            updated_at=key.updated_at,
        )


class KeyPage(LazyModel):
    """One's own stored keys."""

    data: list[KeyRow]
    next_cursor: str | None = None


class AuditRow(LazyModel):
    """A change of the configuration."""

    at: datetime
    key_id: str
    action: str
    fields: dict[str, Any]


class AuditPage(LazyModel):
    """The newest changes."""

    data: list[AuditRow]
    next_cursor: str | None = None


class Config:
    """The endpoints. `known` says which providers there are."""

    def __init__(
        self, vault: Vault, who: Callable[[web.Request], str], known: Callable[[], set[str]]
    ) -> None:
        self._vault = vault
        self._who = who
        self._known = known

    def endpoints(self) -> list[Endpoint]:
        operator = Scope.OPERATOR
        return [
            Endpoint(
                "PUT",
                PATH,
                self.store_key,
                operator,
                "Keep a provider's key of one's own",
                KeyRow,
                failures=(400, 404, 408, 409, 413),
                body=StoreKey,
            ),
            Endpoint("GET", PATH, self.keys, operator, "One's own keys, masked", KeyPage),
            Endpoint(
                "DELETE",
                f"{PATH}/{{id}}",
                self.delete_key,
                operator,
                "Forget a key",
                None,
                failures=(404,),
            ),
            Endpoint(
                "DELETE",
                PATH,
                self.delete_keys,
                operator,
                "Forget one's own keys of a provider",
                None,
                WhichKeys,
                failures=(400, 404),
            ),
            Endpoint(
                "GET",
                "/v1/voice/config/audit",
                self.audit,
                Scope.ADMIN,
                "Who changed what of the configuration",
                AuditPage,
            ),
        ]

    async def store_key(self, request: web.Request) -> web.Response:
        asked = read(StoreKey, await body_of(request))
        if asked.provider not in self._known():
            message = f"No provider {asked.provider}."
            raise ApiError(404, "provider_not_found", message, "provider")
        try:
            key = await self._vault.put(
                self._who(request),
                asked.provider,
                asked.key,
                label=asked.label,
                fallback=asked.is_fallback,
                allowed_models=asked.allowed_models,
                position=asked.order,
            )
        except Local as error:
            raise ApiError(409, "too_many_keys", f"There may be {error}.", "provider") from None
        return answer(KeyRow.of(key))

    async def keys(self, request: web.Request) -> web.Response:
        found = await self._vault.held(self._who(request))
        return answer(KeyPage(data=[KeyRow.of(key) for key in found]))

    async def delete_key(self, request: web.Request) -> web.Response:
        if not await self._vault.delete(self._who(request), request.match_info["id"][:64]):
            raise ApiError(404, "no_such_key", "There is no such key of yours.", "id")
        return web.Response(status=204, headers=PRIVATE)

    async def delete_keys(self, request: web.Request) -> web.Response:
        asked = parsed(WhichKeys, request)
        owner = self._who(request)
        gone = [
            key.id
            for key in await self._vault.held(owner)
            if key.provider == asked.provider and asked.label in (None, key.label)
            if await self._vault.delete(owner, key.id)
        ]
        if not gone:
            raise ApiError(404, "no_such_key", "There is no such key of yours.", "provider")
        return web.Response(status=204, headers=PRIVATE)

    async def audit(self, request: web.Request) -> web.Response:
        rows = await self._vault.audited(MOST_AUDITED)
        return answer(AuditPage(data=[AuditRow(**row) for row in rows]))
