"""FreeSWITCH's own commands over its HTTP server (`mod_xml_rpc`): end, move, place calls, key.

https://developer.signalwire.com , "FreeSWITCH Explained", mod_xml_rpc, and of `mod_commands`
`uuid_kill`, `uuid_transfer`, `uuid_send_dtmf`, `originate`. The carriers whose calls are channels
of FreeSWITCH share it. Bounded: three tries of what may be said twice, five seconds each.
"""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any
from urllib.parse import quote
from uuid import uuid4

from aiohttp import ClientError, ClientSession, ClientTimeout, encode_basic_auth
from pydantic import BeforeValidator, SecretStr
from yarl import URL

from telebot.call.errors import CarrierError
from telebot.call.model import Call
from telebot.call.ports import Way
from telebot.carriers.rest import OnDemand
from telebot.settings import Row, row

TIMEOUT_S = 5.0
TRIES = 3
FIRST_PAUSE_S = 0.2
MAX_ANSWER_BYTES = 64 * 1024
NUMBER = "{number}"

_URL = re.compile(r"https?://[^\s?#]+")
# what may stand in a command: nothing that ends a word or begins a variable
_PLAIN = re.compile(r"[A-Za-z0-9+*#._:@/-]{1,256}")


def _api_url(value: Any) -> Any:
    if value and not _URL.fullmatch(str(value)):
        raise ValueError(f"write http://HOST:8080 (got {value!r})")
    return value


class FsApiSettings(Row):
    """FreeSWITCH's commands, the same for every carrier that shares them."""

    base_url: Annotated[str, BeforeValidator(_api_url)] = row(
        "",
        "FreeSWITCH's HTTP server (mod_xml_rpc); empty: the carrier is off",
        env="FREESWITCH_BASE_URL",
    )
    api_user: str = row("", "its auth-user", env="FREESWITCH_API_USER")
    api_password: SecretStr = row(SecretStr(""), "its auth-pass", env="FREESWITCH_API_PASSWORD")
    transfer_context: str = row("default", "dialplan context of a transfer")
    dial_string: str = row(
        f"sofia/gateway/trunk/{NUMBER}", "where a call of ours goes", pattern=r".*\{number\}.*"
    )
    answered_extension: str = row("telebot", "the extension for whom it reached")
    answered_context: str = row("default", "and its dialplan context")


class CommandedChannels:
    """Calls that are channels of FreeSWITCH, by their UUIDs (`HangsUp`, `Transfers`, `Dials`,
    `SendsDigits`)."""

    def __init__(self, settings: FsApiSettings) -> None:
        self._settings = settings
        self._opened = OnDemand(self._client)

    def off(self) -> str | None:
        """Off where nothing could end a call."""
        return None if self._settings.base_url else "FREESWITCH_BASE_URL is not set"

    async def hang_up(self, call: Call) -> None:
        """End the caller's channel; one that is gone is fine. Raises `CarrierError`."""
        answer = await self._opened().told("uuid_kill", _plain(call.offer.carrier_call_id))
        if not answer.startswith("+OK") and "No such channel" not in answer:
            raise CarrierError(f"hang-up refused: {answer[:80]}")

    async def transfer(self, call: Call, to: str) -> None:
        """Send the caller's channel to `to` in the transfer context. Raises `CarrierError`."""
        where = (_plain(to), "XML", self._settings.transfer_context)
        await self._command("uuid_transfer", _plain(call.offer.carrier_call_id), *where)

    async def send_digits(self, call: Call, digits: str) -> None:
        """Key towards the caller. Raises `CarrierError`."""
        await self._command("uuid_send_dtmf", _plain(call.offer.carrier_call_id), _plain(digits))

    async def dial(self, call: Call, way: Way) -> str:
        """Ring up by the dial string; who answers is put into the answered extension. Returns the
        channel's UUID. Raises `CarrierError`."""
        settings, channel = self._settings, str(uuid4())
        where = settings.dial_string.replace(NUMBER, _plain(call.offer.phone_to))
        variables = {
            "origination_uuid": channel,
            "origination_caller_id_number": _plain(call.offer.phone_from),
            "originate_timeout": str(round(way.within_s)),
            "telebot_token": way.token,
        }
        told = ",".join(f"{name}={value}" for name, value in variables.items())
        reached = (settings.answered_extension, "XML", settings.answered_context)
        await self._command("bgapi", "originate", f"{{{told}}}{where}", *reached, tries=1)
        return channel

    async def close(self) -> None:
        """Close the connections."""
        await self._opened.close()

    async def _command(self, command: str, *words: str, tries: int = TRIES) -> None:
        answer = await self._opened().told(command, *words, tries=tries)
        if not answer.startswith("+OK"):
            raise CarrierError(f"{command} refused: {answer[:80]}")

    def _client(self) -> FsApi:
        settings = self._settings
        password = settings.api_password.get_secret_value()
        return FsApi(settings.base_url, settings.api_user, password)


class FsApi:
    """A client of one FreeSWITCH. Belongs to the running loop; give it back with `close`."""

    def __init__(self, base_url: str, user: str, password: str) -> None:
        self._url = base_url.rstrip("/") + "/txtapi/"
        self._session = ClientSession(
            timeout=ClientTimeout(total=TIMEOUT_S),
            headers={"Authorization": encode_basic_auth(user, password)},
        )

    async def told(self, command: str, *words: str, tries: int = TRIES) -> str:
        """Give a command; what FreeSWITCH answers. Raises `CarrierError` on the line to it."""
        url = URL(f"{self._url}{command}?{quote(' '.join(words), safe='')}", encoded=True)
        pause = FIRST_PAUSE_S
        failed: Exception | None = None
        for attempt in range(tries):
            if attempt:
                await asyncio.sleep(pause)
                pause *= 2
            try:
                async with self._session.get(url) as response:
                    body = await response.content.read(MAX_ANSWER_BYTES)
                    if response.status == 200:
                        return body.decode("utf-8", "replace").strip()
                    raise CarrierError(f"FreeSWITCH's commands: HTTP {response.status}")
            except (ClientError, OSError) as error:  # TimeoutError is an OSError
                failed = error
        raise CarrierError(f"FreeSWITCH's commands: {type(failed).__name__}") from failed

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def _plain(text: str) -> str:
    if not _PLAIN.fullmatch(text):
        raise CarrierError("a channel, number or key that no command may get")
    return text
