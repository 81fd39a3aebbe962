"""Asterisk's manager interface over its HTTP server: end, move, place calls, and key digits. The
carriers whose calls are channels of Asterisk share it.

https://docs.asterisk.org/Configuration/Interfaces/Asterisk-Manager-Interface-AMI/ and `/rawman` of
`main/manager.c`: a login gives a cookie, each action is a form, the answer is text (``Response:
Success``). ARI is not used: it moves none but the channels of its own applications, and ours are
the dialplan's. Bounded: three tries to log in, five seconds each.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import uuid4

from aiohttp import ClientError, ClientSession, ClientTimeout, CookieJar
from pydantic import BeforeValidator, SecretStr

from telebot.call.errors import CarrierError
from telebot.call.model import Call
from telebot.call.ports import Way
from telebot.carriers.rest import OnDemand
from telebot.settings import Row, row

TIMEOUT_S = 5.0
TRIES = 3
FIRST_PAUSE_S = 0.2
KEY_MS = 120
PAUSE_S = 0.5  # what a ``w`` is
MAX_ANSWER_BYTES = 64 * 1024
GONE = ("no such channel", "channel not specified", "channel does not exist")

# what may stand in a channel or an extension: no comma, no line's end, nothing a dialplan expands,
# and no slash in front, which would make it a pattern of channels
_PLAIN = re.compile(r"[A-Za-z0-9+*#._:@-][A-Za-z0-9+*#._:@/-]{0,255}")

_URL = re.compile(r"https?://[^\s?#]+")

Form = list[tuple[str, str]]


def _ami_url(value: Any) -> Any:
    if value and not _URL.fullmatch(str(value)):
        raise ValueError(
            f"write http://HOST:8088, with Asterisk's HTTP prefix if any (got {value!r})"
        )
    return value


class AmiSettings(Row):
    """The manager interface, the same for every carrier that shares it."""

    base_url: Annotated[str, BeforeValidator(_ami_url)] = row(
        "", "Asterisk's HTTP server, for its manager interface", env="ASTERISK_BASE_URL"
    )
    ami_user: str = row("", "user in manager.conf", env="ASTERISK_AMI_USER")
    ami_secret: SecretStr = row(
        SecretStr(""),
        "its secret; empty: no transfers, no calls of ours",
        env="ASTERISK_AMI_SECRET",
    )
    transfer_context: str = row("telebot-transfer", "dialplan context of a transfer")
    dial_context: str = row("telebot-dial", "dialplan context that rings a number up")
    answered_context: str = row("telebot-answered", "and the one for whom it reached")

    @property
    def managed(self) -> bool:
        """True where the interface is set up."""
        return bool(self.base_url and self.ami_user)


class ManagedChannels:
    """Calls that are channels of Asterisk, by their unique ids (`HangsUp`, `Transfers`, `Dials`,
    `SendsDigits`)."""

    def __init__(self, settings: AmiSettings) -> None:
        self._settings = settings
        self._opened = OnDemand(self._client)

    async def hang_up(self, call: Call) -> None:
        """End the caller's channel; one that is gone is fine. Raises `CarrierError`."""
        await self._opened().hang_up(call.offer.carrier_call_id)

    async def transfer(self, call: Call, to: str) -> None:
        """Send the caller's channel to `to` in the transfer context. Raises `CarrierError`."""
        channel, context = call.offer.carrier_call_id, self._settings.transfer_context
        await self._opened().redirect(channel, context, to)

    async def dial(self, call: Call, way: Way) -> str:
        """Ring up by the dial context; who answers is put into the answered context. Returns the
        channel's id. Raises `CarrierError`."""
        settings, offer = self._settings, call.offer
        return await self._opened().originate(
            f"Local/{offer.phone_to}@{settings.dial_context}",
            settings.answered_context,
            offer.phone_from,
            way.within_s,
            {
                "TELEBOT_TOKEN": way.token,
                "TELEBOT_STATUS": way.status_url,
                "TELEBOT_FROM": offer.phone_from,
            },
        )

    async def send_digits(self, call: Call, digits: str) -> None:
        """Key towards the caller. Raises `CarrierError`."""
        await self._opened().digits(call.offer.carrier_call_id, digits)

    async def close(self) -> None:
        """Close the connections."""
        await self._opened.close()

    def _client(self) -> Ami:
        settings = self._settings
        return Ami(settings.base_url, settings.ami_user, settings.ami_secret.get_secret_value())


class Ami:
    """One manager user. Belongs to the running loop; give it back with `close`."""

    def __init__(self, base_url: str, user: str, secret: str) -> None:
        self._url = base_url.rstrip("/") + "/rawman"
        self._login = [("action", "login"), ("username", user), ("secret", secret)]
        self._session = ClientSession(
            timeout=ClientTimeout(total=TIMEOUT_S), cookie_jar=CookieJar(unsafe=True)
        )

    async def hang_up(self, channel: str) -> None:
        """End a channel; one that is gone already is not an error. Raises `CarrierError`."""
        answer = await self._act("Hangup", [("Channel", _plain(channel))])
        if not answer.good and not answer.message.lower().startswith(GONE):
            raise CarrierError(f"hang-up refused: {answer.message}")

    async def redirect(self, channel: str, context: str, extension: str) -> None:
        """Let a channel go on elsewhere in the dialplan. Raises `CarrierError`."""
        where = [("Context", context), ("Exten", _plain(extension)), ("Priority", "1")]
        answer = await self._act("Redirect", [("Channel", _plain(channel)), *where])
        if not answer.good:
            raise CarrierError(f"transfer refused: {answer.message}")

    async def originate(
        self,
        channel: str,
        context: str,
        caller: str,
        within_s: float,
        variables: Mapping[str, str],
    ) -> str:
        """Ring `channel` up for so long, and put who answers into `context` (extension ``s``).
        Returns the id that the channel gets. Raises `CarrierError`."""
        channel_id = f"telebot-{uuid4().hex}"
        form = [
            ("Channel", _plain(channel)),
            ("Context", context),
            ("Exten", "s"),
            ("Priority", "1"),
            ("Timeout", str(round(within_s * 1000))),
            ("CallerID", _plain(caller)),
            ("Async", "true"),
            ("ChannelId", channel_id),
        ]
        for name, value in variables.items():
            if re.search(r"[,\r\n]", value):
                raise CarrierError(f"{name} cannot be handed to a dialplan")
            form.append(("Variable", f"{name}={value}"))
        answer = await self._act("Originate", form)
        if not answer.good:
            raise CarrierError(f"call refused: {answer.message}")
        return channel_id

    async def digits(self, channel: str, digits: str) -> None:
        """Key each digit towards whom the channel reaches. Raises `CarrierError`."""
        for digit in digits:
            if digit == "w":
                await asyncio.sleep(PAUSE_S)
                continue
            form = [("Channel", _plain(channel)), ("Digit", digit), ("Duration", str(KEY_MS))]
            answer = await self._act("PlayDTMF", form)
            if not answer.good:
                raise CarrierError(f"digits refused: {answer.message}")
            await asyncio.sleep(2 * KEY_MS / 1000)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _act(self, action: str, form: Form) -> _Answer:
        """Log in, then act, once: what was asked for must not happen twice."""
        pause = FIRST_PAUSE_S
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(pause)
                pause *= 2
            try:
                if not (await self._post(self._login)).good:
                    raise CarrierError("Asterisk's manager: login refused")
                break
            except (ClientError, OSError) as error:  # TimeoutError is an OSError
                failed = error
        else:
            raise CarrierError(f"Asterisk's manager: {type(failed).__name__}") from failed
        try:
            return await self._post([("action", action), *form])
        except (ClientError, OSError) as error:
            raise CarrierError(f"Asterisk's manager: {type(error).__name__}") from error

    async def _post(self, form: Form) -> _Answer:
        async with self._session.post(self._url, data=form) as response:
            body = await response.content.read(MAX_ANSWER_BYTES)
            if response.status != 200:
                raise CarrierError(f"Asterisk's manager: HTTP {response.status}")
        return _Answer(body.decode("utf-8", "replace"))


class _Answer:
    """The first packet of an answer: ``Response: Success`` and a message."""

    def __init__(self, text: str) -> None:
        lines = (line.partition(":") for line in text.splitlines())
        fields = {name.strip().lower(): value.strip() for name, _, value in lines}
        self.good = fields.get("response") == "Success"
        self.message = fields.get("message", "no answer that can be read")


def _plain(text: str) -> str:
    if not _PLAIN.fullmatch(text):
        raise CarrierError("a channel or number that no dialplan may get")
    return text
