"""`/v1/keys`: API keys made, changed, rotated and revoked by admins; every change is audited.

A secret is shown once, when it is made. `records/keys.py` keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Literal

from aiohttp import web
from pydantic import ConfigDict, Field

from telebot.api.answers import PRIVATE, answer
from telebot.api.calls import Endpoint
from telebot.api.query import Text, When, body_of, read
from telebot.call.errors import ApiError
from telebot.call.ports import WallClock
from telebot.models import LazyModel
from telebot.records.keys import (
    LONGEST_GRACE,
    MOST_MODELS,
    ApiKey,
    Keys,
    NotChanged,
    Scope,
    Tier,
)

PATH = "/v1/keys"
Model = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[!-+\--~]+$")]
Models = Annotated[tuple[Model, ...], Field(max_length=MOST_MODELS)]
Requests = Annotated[int, Field(ge=1, le=1_000_000)]
Budget = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]


class KeyTerms(LazyModel):
    """What a key may use of `/v1/voice` and `/v1/audio`."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: Requests | None = Field(None, description="null: as the settings say")
    monthly_budget: Budget | None = Field(
        None, description="in the records' currency; null: none, but a viewer may spend nothing"
    )
    models: Models = Field((), description="`vendor`, `vendor/*`, `local` …; empty: any")
    tier: Literal["high", "normal", "low"] = Field(
        "normal", description="who goes first where work waits"
    )
    expires_at: When | None = Field(None, description="it opens nothing from then on")


class CreateKey(KeyTerms):
    """A key to be made."""

    name: Text
    scope: Literal["viewer", "operator", "admin"] = Field("viewer", description="what it may do")


class ChangeKey(KeyTerms):
    """What is to be otherwise of a key; what is not named stays."""

    name: Text | None = Field(None, description="another name")


class RotateKey(LazyModel):
    """A new secret for a key."""

    model_config = ConfigDict(extra="forbid")

    grace_s: float = Field(
        0,
        ge=0,
        le=LONGEST_GRACE.total_seconds(),
        allow_inf_nan=False,
        description="the old secret opens for so long yet",
    )


class ApiKeyRow(LazyModel):
    """A key without its secret."""

    id: str
    name: str
    scope: str
    state: Literal["live", "expired", "revoked"]
    source: str = Field(description="created; generated or environment: the first one")
    tier: str
    models: list[str]
    requests_per_minute: int | None
    monthly_budget: float | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    old_secret_until: datetime | None = Field(description="until then two secrets open it")

    @classmethod
    def of(cls, key: ApiKey, now: datetime) -> ApiKeyRow:
        state: Literal["live", "expired", "revoked"] = "live" if key.live(now) else "expired"
        until = key.previous_until
        return cls(
            id=key.id,
            name=key.name,
            scope=key.scope.value,
            state="revoked" if key.revoked_at else state,
            source=key.source,
            tier=key.tier.value,
            models=list(key.models),
            requests_per_minute=key.requests_per_minute,
            monthly_budget=key.monthly_budget,
            created_at=key.created_at,
            last_used_at=key.last_used_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            old_secret_until=until if until and until > now else None,
        )


class ApiKeySecret(ApiKeyRow):
    """A key with its secret, which is not shown again."""

    secret: str = Field(repr=False)


class ApiKeyPage(LazyModel):
    """Every key, the oldest first."""

    data: list[ApiKeyRow]
    next_cursor: str | None = None


class KeysApi:
    """The endpoints. `who` gives the id of a request's owner."""

    def __init__(self, keys: Keys, who: Callable[[web.Request], str], now: WallClock) -> None:
        self._keys = keys
        self._who = who
        self._now = now

    def endpoints(self) -> list[Endpoint]:
        one, admin, missing = f"{PATH}/{{id}}", Scope.ADMIN, (404,)
        change = (400, 404, 408, 409, 413)
        return [
            Endpoint("GET", PATH, self.api_keys, admin, "Every key, without secrets", ApiKeyPage),
            Endpoint(
                "POST",
                PATH,
                self.create_key,
                admin,
                "Make a key; its secret is shown once",
                ApiKeySecret,
                failures=(400, 408, 409, 413),
                body=CreateKey,
                status=201,
            ),
            Endpoint("GET", one, self.api_key, admin, "One key", ApiKeyRow, failures=missing),
            Endpoint(
                "PATCH",
                one,
                self.change_key,
                admin,
                "Change what a key may use",
                ApiKeyRow,
                failures=change,
                body=ChangeKey,
            ),
            Endpoint(
                "POST",
                f"{one}/rotate",
                self.rotate_key,
                admin,
                "Give a key a new secret; the old one may open for a while yet",
                ApiKeySecret,
                failures=change,
                body=RotateKey,
            ),
            Endpoint(
                "DELETE",
                one,
                self.revoke_key,
                admin,
                "Revoke a key; it opens nothing from now on",
                None,
                failures=(404, 409),
            ),
        ]

    async def api_keys(self, request: web.Request) -> web.Response:
        now = self._now()
        return answer(ApiKeyPage(data=[ApiKeyRow.of(key, now) for key in await self._keys.list()]))

    async def api_key(self, request: web.Request) -> web.Response:
        return answer(ApiKeyRow.of(await self._found(request), self._now()))

    async def create_key(self, request: web.Request) -> web.Response:
        asked = read(CreateKey, await body_of(request))
        self._to_come(asked.expires_at)
        try:
            key, secret = await self._keys.create(
                asked.name,
                Scope(asked.scope),
                requests_per_minute=asked.requests_per_minute,
                monthly_budget=asked.monthly_budget,
                models=asked.models,
                tier=Tier(asked.tier),
                expires_at=asked.expires_at,
                by=self._who(request),
            )
        except NotChanged as error:
            raise _not_changed(error) from None
        response = answer(self._with_secret(key, secret), 201)
        response.headers["Location"] = f"{PATH}/{key.id}"
        return response

    async def change_key(self, request: web.Request) -> web.Response:
        asked = read(ChangeKey, await body_of(request))
        self._to_come(asked.expires_at)
        terms = {name: getattr(asked, name) for name in asked.model_fields_set}
        if asked.name is None:  # stays as it is
            terms.pop("name", None)
        key = await self._found(request)
        if terms:
            changed = await self._keys.change(key.id, terms, self._who(request))
            if changed is None:
                raise _no_key()
            key = changed
        return answer(ApiKeyRow.of(key, self._now()))

    async def rotate_key(self, request: web.Request) -> web.Response:
        asked = read(RotateKey, await body_of(request))
        key = await self._found(request)
        try:
            secret = await self._keys.rotate(
                key.id, grace=timedelta(seconds=asked.grace_s), by=self._who(request)
            )
        except NotChanged as error:
            raise _not_changed(error) from None
        if secret is None:
            raise _no_key()
        return answer(self._with_secret(await self._found(request), secret))

    async def revoke_key(self, request: web.Request) -> web.Response:
        key = await self._found(request)
        try:
            done = await self._keys.revoke(key.id, self._who(request), keep_an_admin=True)
        except NotChanged as error:
            raise _not_changed(error) from None
        if not done:
            raise _no_key()
        return web.Response(status=204, headers=PRIVATE)

    def _with_secret(self, key: ApiKey, secret: str) -> ApiKeySecret:
        return ApiKeySecret(**ApiKeyRow.of(key, self._now()).model_dump(), secret=secret)

    def _to_come(self, expires_at: datetime | None) -> None:
        if expires_at is not None and expires_at <= self._now():
            raise ApiError(400, "invalid_parameter", "expires_at: lies in the past.", "expires_at")

    async def _found(self, request: web.Request) -> ApiKey:
        key = await self._keys.find(request.match_info["id"][:64])
        if key is None:
            raise _no_key()
        return key


def _no_key() -> ApiError:
    return ApiError(404, "no_such_key", "There is no such key, or it was revoked.", "id")


def _not_changed(error: NotChanged) -> ApiError:
    return ApiError(409, "not_changed", f"Not done: {error}.", "id")
