"""`/v1/voice/flags`: what an operator tries on some of the users. What came of it stands in
`/v1/voice/analytics?by=variant`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from aiohttp import web
from pydantic import Field, TypeAdapter, ValidationError

from telebot.api.answers import PRIVATE, answer
from telebot.api.calls import Endpoint
from telebot.api.query import body_of, parsed, read
from telebot.api.voice.preferences import UserQuery, check_names, tree
from telebot.api.voice.transcribe import WhoAsks
from telebot.call.errors import ApiError
from telebot.models import LazyModel
from telebot.records.choices import Choices, Stored, TooMany
from telebot.records.keys import Scope
from telebot.voice.flags import Flag, FlagName
from telebot.voice.service import Voice

PATH = "/v1/voice/flags"
MINE = "mine"
NAMES: TypeAdapter[str] = TypeAdapter(FlagName)


class FlagRow(LazyModel):
    """A flag as it stands."""

    name: str
    flag: Flag
    created_at: datetime
    updated_at: datetime


class FlagPage(LazyModel):
    """Every flag."""

    data: list[FlagRow]
    next_cursor: str | None = None


class MyFlags(LazyModel):
    """What one user is drawn into."""

    user: str | None
    flags: dict[str, str] = Field(description="flag: variant")


class FlagsApi:
    """The endpoints."""

    def __init__(
        self, choices: Choices, voice: Voice, who: WhoAsks, *, agents: Collection[str] = ()
    ) -> None:
        self._agents = agents
        self._choices = choices
        self._voice = voice
        self._who = who

    def endpoints(self) -> list[Endpoint]:
        admin, one = Scope.ADMIN, f"{PATH}/{{id}}"
        return [
            Endpoint("GET", PATH, self.flags, admin, "Every flag", FlagPage),
            Endpoint("GET", f"{PATH}/{MINE}", self.my_flags, Scope.VIEWER,
                     "The variants that a user is drawn into", MyFlags, UserQuery, (400,)),
            Endpoint("GET", one, self.flag, admin, "One flag", FlagRow, failures=(404,)),
            Endpoint("PUT", one, self.put_flag, admin, "Keep a flag", FlagRow,
                     failures=(400, 404, 408, 409, 413), body=Flag),
            Endpoint("DELETE", one, self.delete_flag, admin, "Forget a flag", None,
                     failures=(404,)),
        ]  # fmt: skip

    async def flags(self, request: web.Request) -> web.Response:
        found = (await self._choices.flags()).values()
        return answer(FlagPage(data=[_row(stored) for stored in found]))

    async def flag(self, request: web.Request) -> web.Response:
        stored = (await self._choices.flags()).get(request.match_info["id"])
        if stored is None:
            raise _no_flag()
        return answer(_row(stored))

    async def my_flags(self, request: web.Request) -> web.Response:
        user = parsed(UserQuery, request).user
        found = await self._voice.tailor.variants(self._who(request), user or "")
        plain = {name: variant.rstrip("!") for name, variant in found.items()}
        return answer(MyFlags(user=user, flags=plain))

    async def put_flag(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        try:
            NAMES.validate_python(name)
        except ValidationError:
            why = "id: small letters, digits, dots, dashes and underlines, at most 40."
            raise ApiError(400, "invalid_parameter", why, "id") from None
        if name == MINE:
            raise ApiError(400, "invalid_parameter", f"id: no flag is called {MINE}.", "id")
        flag = read(Flag, await body_of(request))
        for number, variant in enumerate(flag.variants):
            check_names(variant.settings, self._voice, self._agents, f"variants.{number}.settings.")
        try:
            stored = await self._choices.put_flag(name, tree(flag), self._who(request))
        except TooMany as error:
            raise ApiError(409, "too_many_flags", f"There may be {error}.", "id") from None
        return answer(_row(stored))

    async def delete_flag(self, request: web.Request) -> web.Response:
        if not await self._choices.delete_flag(request.match_info["id"], self._who(request)):
            raise _no_flag()
        return web.Response(status=204, headers=PRIVATE)


def _row(stored: Stored) -> FlagRow:
    try:
        flag = Flag.model_validate(stored.tree)
    except ValidationError:
        raise ApiError(
            409, "flag_of_another_version",
            f"The flag {stored.name} was kept by another version: put it anew, or delete it.", "id",
        ) from None  # fmt: skip
    return FlagRow(
        name=stored.name, flag=flag, created_at=stored.created_at, updated_at=stored.updated_at
    )


def _no_flag() -> ApiError:
    return ApiError(404, "no_such_flag", "There is no such flag.", "id")
