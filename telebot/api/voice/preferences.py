"""`/v1/voice/preferences`: what holds for a user where their requests say nothing.

A user is the owner of an API key, or an `id` of theirs: an application with one key has users of
its own. Nothing can be said here that a request of the same key could not say, so every scope may.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from telebot.api.answers import PRIVATE, answer
from telebot.api.calls import Endpoint
from telebot.api.query import body_of, parsed, read, valid
from telebot.api.voice.transcribe import WhoAsks
from telebot.call.errors import ApiError, ProviderConfigError
from telebot.models import LazyModel
from telebot.records.choices import Choices, Stored, TooMany, Tree
from telebot.records.keys import Scope
from telebot.voice.defaults import Defaults, UserId, UserPreferences
from telebot.voice.offers import WORKS
from telebot.voice.service import Voice

PATH = "/v1/voice/preferences"
Forgets = Callable[[str, str], Awaitable[int]]  # an owner's user; how many things they were
DEEPEST = 8  # a tree of preferences has fewer


class UserQuery(LazyModel):
    """Whose."""

    model_config = ConfigDict(extra="forbid")

    user: UserId | None = Field(None, description="an id of yours; else the key's owner")


class UsersQuery(LazyModel):
    """Parameters of `GET /v1/voice/preferences/users`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=200, description="users a page")
    cursor: UserId | None = Field(None, description="next_cursor of the page before")


class PreferencesAnswer(LazyModel):
    """What a user prefers. The times are null where nothing is kept."""

    user: str | None = Field(description="null: the key's owner, for all their users")
    preferences: UserPreferences
    created_at: datetime | None
    updated_at: datetime | None


class UsersPage(LazyModel):
    """The users of whom preferences are kept."""

    data: list[PreferencesAnswer]
    next_cursor: str | None = None


class PreferencesPatch(LazyModel):
    """Preferences in parts (a merge patch, RFC 7396): null takes one away, the rest stays."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "properties": {name: {} for name in UserPreferences.model_fields},
            "additionalProperties": False,
        },
    )


class PreferencesApi:
    """The endpoints."""

    def __init__(
        self,
        choices: Choices,
        voice: Voice,
        who: WhoAsks,
        *,
        agents: Collection[str] = (),
        others: Sequence[Forgets] = (),
    ) -> None:
        """`agents` may be named; `others` forget what else is kept of a user."""
        self._agents = agents
        self._others = others
        self._choices = choices
        self._voice = voice
        self._who = who

    def endpoints(self) -> list[Endpoint]:
        viewer, bad = Scope.VIEWER, (400, 404, 408, 409, 413)
        return [
            Endpoint("GET", PATH, self.preferences, viewer, "What a user prefers",
                     PreferencesAnswer, UserQuery, (400,)),
            Endpoint("PUT", PATH, self.put_preferences, viewer,
                     "Keep what a user prefers, in place of all before", PreferencesAnswer,
                     UserQuery, bad, UserPreferences),
            Endpoint("PATCH", PATH, self.patch_preferences, viewer,
                     "Change some of what a user prefers", PreferencesAnswer, UserQuery, bad,
                     PreferencesPatch),
            Endpoint("DELETE", PATH, self.forget_user, viewer,
                     "Delete all that is kept of a user", None, UserQuery, (400, 404)),
            Endpoint("GET", f"{PATH}/users", self.users, viewer,
                     "The users of whom preferences are kept", UsersPage, UsersQuery, (400,)),
        ]  # fmt: skip

    async def preferences(self, request: web.Request) -> web.Response:
        user = parsed(UserQuery, request).user
        stored = await self._choices.stored(self._who(request), user or "")
        return answer(_told(user, stored))

    async def users(self, request: web.Request) -> web.Response:
        query = parsed(UsersQuery, request)
        found = await self._choices.users(self._who(request), query.limit + 1, query.cursor or "")
        page = found[: query.limit]
        more = page[-1].name if len(found) > query.limit else None
        return answer(UsersPage(data=[_told(one.name, one) for one in page], next_cursor=more))

    async def put_preferences(self, request: web.Request) -> web.Response:
        asked = read(UserPreferences, await body_of(request))
        return await self._changed(request, lambda _: asked, "preferences_stored")

    async def patch_preferences(self, request: web.Request) -> web.Response:
        patch = read(PreferencesPatch, await body_of(request)).model_extra or {}

        def changed(known: Tree | None) -> UserPreferences:
            return valid(UserPreferences, _patched(known or {}, patch), texts=False)

        return await self._changed(request, changed, "preferences_changed")

    async def forget_user(self, request: web.Request) -> web.Response:
        owner, user = self._who(request), parsed(UserQuery, request).user or ""
        sounds = self._voice.sounds
        gone = 0 if sounds is None else await sounds.forget(owner, user)
        for forgets in self._others if user else ():
            gone += await forgets(owner, user)
        gone += await self._choices.forget(owner, user)
        if not gone:
            raise ApiError(404, "no_such_user", "Nothing is kept of this user.", "user")
        return web.Response(status=204, headers=PRIVATE)

    async def _changed(
        self,
        request: web.Request,
        changed: Callable[[Tree | None], UserPreferences],
        action: str,
    ) -> web.Response:
        user = parsed(UserQuery, request).user

        def tree_of(known: Tree | None) -> Tree:
            prefers = changed(known)
            check_names(prefers, self._voice, self._agents)
            return tree(prefers)

        try:
            stored = await self._choices.change(self._who(request), user or "", tree_of, action)
        except TooMany as error:
            raise ApiError(409, "too_many_users", f"There may be {error}.", "user") from None
        return answer(_told(user, stored))


def tree(settings: BaseModel) -> Tree:
    """As it is kept: what says nothing is left out."""
    return settings.model_dump(mode="json", exclude_defaults=True)


def check_names(chosen: Defaults, voice: Voice, agents: Collection[str], under: str = "") -> None:
    """Raises `ApiError` (404) on a model, a provider or an agent that there is not: every request
    would fail by it."""
    if chosen.agent is not None and chosen.agent not in agents:
        message = f"No agent {chosen.agent!r}."
        raise ApiError(404, "agent_not_found", message, f"{under}agent")
    for work in WORKS:
        if named := getattr(chosen.model, work):
            try:
                voice.offers.parted(work, named)
            except ProviderConfigError as error:
                param = f"{under}model.{work}"
                raise ApiError(404, "model_not_found", f"{error}.", param) from None
    for provider in chosen.voice:
        if provider not in voice.offers.names("tts"):
            param = f"{under}voice"
            raise ApiError(404, "provider_not_found", f"No provider {provider!r}.", param)


def _patched(known: Any, patch: Any, depth: int = 0) -> Any:
    if not isinstance(patch, dict):
        return patch
    if depth > DEEPEST:
        raise ApiError(400, "invalid_parameter", "Too deep.")
    merged = dict(known) if isinstance(known, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _patched(merged.get(name), value, depth + 1)
    return merged


def _told(user: str | None, stored: Stored | None) -> PreferencesAnswer:
    try:
        preferences = UserPreferences.model_validate({} if stored is None else stored.tree)
    except ValidationError:
        raise ApiError(
            409, "preferences_of_another_version",
            "These preferences were kept by another version: put them anew, or delete them.",
        ) from None  # fmt: skip
    return PreferencesAnswer(
        user=user,
        preferences=preferences,
        created_at=stored.created_at if stored else None,
        updated_at=stored.updated_at if stored else None,
    )
