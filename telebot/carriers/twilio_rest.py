"""Twilio's REST by twilio's own async client: make a call, end it, put it through.

https://www.twilio.com/docs/voice/api/call-resource . Bounded: three tries of five seconds each,
with growing pauses, on what may pass (429, 5xx, no connection). A call is made again only where it
certainly was not (429, nobody there): nobody is to be rung up twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from aiohttp import ClientConnectorError, ClientError, ClientSession, encode_basic_auth
from aiohttp_retry import ExponentialRetry, RetryClient
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from twilio.twiml.voice_response import VoiceResponse

from telebot.call.errors import CarrierError

TIMEOUT_S = 5.0
TRIES = 3
FIRST_PAUSE_S = 0.2
UNREACHED = (TwilioException, ClientError, OSError, ValueError)  # TimeoutError is an OSError
GONE_STATUS = 404
GONE_CODES = frozenset({20404, 21220})  # no such call; the call is not in progress


class TwilioRest:
    """A client of one account. Belongs to the running loop; give it back with `close`."""

    def __init__(self, account_sid: str, auth_token: str, base_url: str) -> None:
        self._http, self._once = _Http(base_url), _Http(base_url, once=True)
        # an empty environment would mean the process's
        login, environment = (account_sid, auth_token), {"": ""}
        self._client = Client(*login, http_client=self._http, environment=environment)
        self._caller = Client(*login, http_client=self._once, environment=environment)

    async def create(self, to: str, phone_from: str, fields: Mapping[str, Any]) -> str:
        """Have Twilio ring `to` up; the new call's sid. `fields` as in
        https://www.twilio.com/docs/voice/api/call-resource#create-a-call-resource . Raises
        `CarrierError`; after a time-out nobody knows whether it rings."""
        try:
            made = await self._caller.calls.create_async(to=to, from_=phone_from, **fields)
        except TwilioRestException as error:
            raise CarrierError(f"dial refused: {error.status}, {error.code}") from error
        except UNREACHED as error:
            raise CarrierError(f"Twilio's REST: {type(error).__name__}") from error
        return str(made.sid or "")

    async def hang_up(self, call_sid: str) -> None:
        """End a call. One that is gone already is not an error. Raises `CarrierError`."""
        try:
            await self._update(call_sid, status="completed")
        except TwilioRestException as error:
            if error.status != GONE_STATUS and error.code not in GONE_CODES:
                raise CarrierError(f"hang-up refused: {error.status}, {error.code}") from error

    async def dial(self, call_sid: str, to: str) -> None:
        """Replace what the call does by dialling `to`. Raises `CarrierError`."""
        response = VoiceResponse()
        response.dial(to)
        await self.redirect(call_sid, str(response))

    async def redirect(self, call_sid: str, twiml: str) -> None:
        """Replace what the call does. Raises `CarrierError`."""
        try:
            await self._update(call_sid, twiml=twiml)
        except TwilioRestException as error:
            raise CarrierError(f"transfer refused: {error.status}, {error.code}") from error

    async def status(self, call_sid: str) -> str:
        """How a call fares: ``ringing``, ``in-progress``, ``busy`` … Raises `CarrierError`."""
        try:
            return str((await self._client.calls(call_sid).fetch_async()).status)
        except UNREACHED as error:
            raise CarrierError(f"Twilio's REST: {type(error).__name__}") from error

    async def has_conference(self, name: str) -> bool:
        """Whether somebody is in a conference room. Raises `CarrierError`."""
        rooms = self._client.conferences
        try:
            for status in ("init", "in-progress"):  # without one it is the latter alone
                if await rooms.list_async(friendly_name=name, status=status, limit=1):
                    return True
        except UNREACHED as error:
            raise CarrierError(f"Twilio's REST: {type(error).__name__}") from error
        return False

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()
        await self._once.close()

    async def _update(self, call_sid: str, **changes: str) -> None:
        """Raises TwilioRestException on Twilio's word, `CarrierError` on the line to it."""
        try:
            await self._client.calls(call_sid).update_async(**changes)
        except TwilioRestException:
            raise
        except UNREACHED as error:
            raise CarrierError(f"Twilio's REST: {type(error).__name__}") from error


class _Http(AsyncTwilioHttpClient):  # type: ignore[misc]  # twilio has no types
    """twilio's async HTTP client with another host, a timeout, and retries that also cover 429;
    `once`: what may have reached Twilio is not sent again."""

    def __init__(self, base_url: str, *, once: bool = False) -> None:
        super().__init__(pool_connections=False)
        self._scheme, self._host = urlsplit(base_url)[:2]
        retry = ExponentialRetry(
            attempts=TRIES,
            start_timeout=FIRST_PAUSE_S,
            statuses={429},
            exceptions={ClientConnectorError} if once else {ClientError, OSError},
            retry_all_server_errors=not once,
        )
        self.session = RetryClient(client_session=ClientSession(), retry_options=retry)

    async def request(  # noqa: PLR0917
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """As in the base class, to our base URL. twilio hands the credentials over as an object
        that aiohttp has deprecated, hence the header."""
        headers = dict(headers or {})
        if auth is not None:
            headers["Authorization"] = encode_basic_auth(*auth)
        moved: Any = urlunsplit((self._scheme, self._host, *urlsplit(url)[2:]))
        return await super().request(
            method, moved, params, data, headers, None, timeout or TIMEOUT_S, allow_redirects
        )
