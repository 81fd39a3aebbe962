"""How this process reaches Google Cloud's speech services: credentials, channels, errors.

One gRPC channel for each service and set of credentials, kept by `Resources` and shared by all
calls. Credentials: a service account's file, an API key
(https://docs.cloud.google.com/docs/authentication/api-keys-use, header ``x-goog-api-key``), or what
Google gives the machine. Errors: https://docs.cloud.google.com/apis/design/errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import google.auth
import grpc  # type: ignore[import-untyped]
from google.api_core.exceptions import GoogleAPICallError, InvalidArgument
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import service_account
from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory, classify_http_status_code

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers.resources import CONNECT_S, Resources

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
FAILURES = (
    GoogleAPICallError, GoogleAuthError, grpc.RpcError, ProviderError, OSError, TimeoutError,
    ValueError,
)  # fmt: skip
# without these a channel that has failed stays shut for up to two minutes, whatever comes back
CHANNEL = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", round(CONNECT_S * 1000)),
    ("grpc.max_reconnect_backoff_ms", round(CONNECT_S * 1000)),
    ("grpc.max_receive_message_length", -1),
)
# gRPC's own words for a stream that broke, with status UNKNOWN, and with INTERNAL where that
# happened while something was being sent
BROKEN = ("Stream removed", LOST := "Internal error from Core")
# of these ABORTED and OUT_OF_RANGE end a stream that had no audio for long, or lasted too long
NO_ANSWER = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
)


class GoogleRefusal(ProviderError):
    """Google's error; `headers` has ``retry-after`` where it says when to come back."""

    def __init__(self, says: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"google refuses ({says})")
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, and where. `target` is ``host[:port]``, `plain` without TLS; of `api_key` and
    `account` (a service account's file) there is one or none."""

    target: str
    plain: bool
    api_key: str | None
    account: str | None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What each request carries."""
        return (("x-goog-api-key", self.api_key),) if self.api_key else ()

    def client(self, client: type[Any], transport: type[Any]) -> Any:
        """A client of Google's SDK on a channel of its own; nothing is connected. Raises
        ProviderConfigError for credentials that are none."""
        if self.plain:
            channel: Any = grpc.aio.insecure_channel(self.target, options=CHANNEL)
        elif self.api_key:
            tls = grpc.ssl_channel_credentials()
            channel = grpc.aio.secure_channel(self.target, tls, options=CHANNEL)
        else:
            return client(transport=self._signed(transport))
        return client(transport=transport(channel=channel))

    def _signed(self, transport: type[Any]) -> Any:
        """A transport that signs each request with the credentials' token."""

        def channel(host: str, **kwargs: Any) -> Any:
            return transport.create_channel(host, **{**kwargs, "options": CHANNEL})

        return transport(
            host=self.target,
            credentials=self._credentials(),
            channel=channel,
            always_use_jwt_access=True,
        )

    def _credentials(self) -> Any:
        try:
            if self.account:
                read: Any = service_account.Credentials.from_service_account_file
                return read(self.account, scopes=SCOPES)
            return google.auth.default(scopes=SCOPES)[0]
        except (GoogleAuthError, OSError, ValueError) as error:
            what = self.account or "this machine"
            raise ProviderConfigError(
                f"google has no credentials of {what} ({type(error).__name__})"
            ) from error


class Kept:
    """A client of Google's SDK as `Resources` keeps it."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def aclose(self) -> None:
        await self.client.transport.close()


def access(options: Mapping[str, Any], environ: Mapping[str, str], host: str) -> Access:
    """Where and as whom to ask; ``http://`` in an address means: without TLS. Raises
    ProviderConfigError where nobody says who asks."""
    given = str(options.get("base_url") or environ.get("GOOGLE_BASE_URL", ""))
    parts = urlsplit(given if "://" in given else f"https://{given}")
    plain = bool(given) and parts.scheme == "http"
    named = options.get("api_key_env")
    own = "api_key_env" in options and not named
    account = None if named or own or plain else environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    api_key = None if account or own else environ.get(named or "GOOGLE_API_KEY")
    if not (api_key or account or own):
        raise ProviderConfigError(
            f"google needs a key: set {named} in the environment"
            if named
            else "google needs a key: set GOOGLE_APPLICATION_CREDENTIALS to a service account's "
            "file or GOOGLE_API_KEY to an API key, or write `api_key_env: null` where Google gives "
            "this machine its credentials"
        )
    return Access(parts.netloc or host, plain, api_key, account)


def kept(resources: Resources, who: Access, client: type[Any], transport: type[Any]) -> Any:
    """The process's client of this class for these credentials."""
    told_apart = hashlib.sha256(repr((who, client.__name__)).encode()).hexdigest()
    make = lambda: Kept(who.client(client, transport))  # noqa: E731
    return resources.kept(f"google {told_apart[:16]}", make).client


@contextlib.asynccontextmanager
async def closing(call: Awaitable[Any]) -> AsyncIterator[AsyncIterator[Any]]:
    """The answers of a streaming call of Google's SDK, which ends with the block. Raises one of
    `FAILURES`."""
    stream = await call
    try:
        yield _answers(stream)
    finally:
        stream.cancel()  # of no effect on one that is over


async def _answers(stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """gRPC hands None on where it cannot read a message. Where a stream breaks while something is
    being sent, it may say that the call was cancelled, as if the task that waits here were."""
    try:
        async for answer in stream:
            if answer is None:
                raise GoogleRefusal("an answer that cannot be read", {})
            yield answer
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionResetError("the stream broke") from None


def lost(error: Exception) -> bool:
    """Whether gRPC has lost why the stream ended: a refusal that arrives while something is being
    sent. Asking again tells."""
    return isinstance(error, GoogleAPICallError) and str(error.message).startswith(LOST)


def error_frame(error: Exception) -> ErrorFrame:
    """A failed request, for the pipeline; no key stands in it."""
    said = refusal(error)
    return ErrorFrame(error=str(said), exception=said, category=category(error))


def refusal(error: Exception) -> ProviderError:
    """`error` without the request."""
    if isinstance(error, ProviderError):
        return error
    if not isinstance(error, GoogleAPICallError):
        return ProviderError(f"google cannot be reached ({type(error).__name__})")
    code = getattr(error.grpc_status_code, "name", str(error.code))
    return GoogleRefusal(f"{code} {error.reason or ''}".strip(), _retry_after(error))


def category(error: Exception) -> ErrorCategory:
    """Why a request failed. A wrong API key is an invalid argument to Google."""
    if isinstance(error, GoogleAPICallError):
        if error.grpc_status_code in NO_ANSWER or str(error.message).startswith(BROKEN):
            return ErrorCategory.CONNECTIVITY
        if isinstance(error, InvalidArgument) and error.reason == "API_KEY_INVALID":
            return ErrorCategory.AUTHENTICATION
        return classify_http_status_code(int(error.code or 0))
    if isinstance(error, GoogleAuthError):
        return ErrorCategory.AUTHENTICATION
    if isinstance(error, ProviderError):
        return ErrorCategory.SERVER
    return ErrorCategory.CONNECTIVITY


def _retry_after(error: GoogleAPICallError) -> dict[str, str]:
    """Of Google's RetryInfo."""
    for detail in error.details or ():
        delay = getattr(detail, "retry_delay", None)
        if delay is not None:
            return {"retry-after": f"{delay.seconds + delay.nanos / 1e9:g}"}
    return {}
