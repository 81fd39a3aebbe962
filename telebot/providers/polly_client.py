"""The process's client for Amazon Polly, and what its errors mean.

Made by `polly.py`, kept by `Resources`: making one reads 150 ms of JSON, so that is done once, and
not on the event loop. Retries are off: a chain tries the next vendor instead. Errors:
https://docs.aws.amazon.com/polly/latest/dg/API_SynthesizeSpeech.html and
https://docs.aws.amazon.com/polly/latest/dg/CommonErrors.html.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig  # type: ignore[import-untyped]
from aiobotocore.session import get_session  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    NoCredentialsError,
)
from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory, classify_http_status_code

from telebot.call.errors import ProviderError
from telebot.providers.resources import CONNECT_S, CONNECTIONS, KEPT_S, READ_S

FAILURES = (BotoCoreError, ClientError, aiohttp.ClientError, OSError, TimeoutError)
# Polly says some of these with status 400
CATEGORIES = {
    "ThrottlingException": ErrorCategory.RATE_LIMIT,
    "ServiceQuotaExceededException": ErrorCategory.QUOTA,
    "AccessDeniedException": ErrorCategory.AUTHORIZATION,
    "ExpiredTokenException": ErrorCategory.AUTHENTICATION,
    "IncompleteSignatureException": ErrorCategory.AUTHENTICATION,
    "InvalidSignatureException": ErrorCategory.AUTHENTICATION,
    "MissingAuthenticationTokenException": ErrorCategory.AUTHENTICATION,
    "UnrecognizedClientException": ErrorCategory.AUTHENTICATION,
}
PARTS = ("service-2", "endpoint-rule-set-1")  # of what botocore knows of a service


class PollyRefusal(ProviderError):
    """Polly's error: its code, and the answer's headers."""

    def __init__(self, code: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"polly refuses ({code})")
        self.code = code
        self.headers = headers


class PollyClient:
    """Connects when it is first used, to `endpoint_url` or the region's own address. Without `keys`
    (``aws_access_key_id`` …) it takes those that AWS gives this machine."""

    def __init__(self, region: str, endpoint_url: str | None, keys: Mapping[str, str]) -> None:
        self.region = region
        self._endpoint_url = endpoint_url
        self._keys = dict(keys)
        self._made: Any = None
        self._making = asyncio.Lock()

    async def get(self) -> Any:
        """aiobotocore's client."""
        async with self._making:
            if self._made is None:
                self._made = await self._make()
        return self._made

    async def _make(self) -> Any:
        session = get_session()
        loader = session.get_component("data_loader")
        for part in PARTS:  # read here, and remembered for `create_client`
            await asyncio.to_thread(loader.load_service_model, "polly", part)
        client = session.create_client(
            "polly",
            region_name=self.region,
            endpoint_url=self._endpoint_url,
            config=AioConfig(
                connect_timeout=CONNECT_S,
                read_timeout=READ_S,
                max_pool_connections=CONNECTIONS,
                retries={"total_max_attempts": 1, "mode": "standard"},
                connector_args={"keepalive_timeout": KEPT_S},
            ),
            **self._keys,
        )
        return await client.__aenter__()

    async def aclose(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            await made.close()


def error_frame(error: Exception) -> ErrorFrame:
    """A failed request, for the pipeline; no key stands in it."""
    if isinstance(error, ClientError):
        refusal = refused(error)
        return ErrorFrame(error=str(refusal), exception=refusal, category=category(error))
    lacking = isinstance(error, NoCredentialsError)
    says = f"polly cannot be reached ({type(error).__name__})"
    return ErrorFrame(
        error="polly has no key" if lacking else says,
        exception=ProviderError(says),
        category=ErrorCategory.AUTHENTICATION if lacking else ErrorCategory.CONNECTIVITY,
    )


def refused(error: ClientError) -> PollyRefusal:
    """What Polly said, without the request that it said it of."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return PollyRefusal(_code(error), headers)


def category(error: ClientError) -> ErrorCategory:
    """Why Polly refuses: by its code, else by the status."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return CATEGORIES.get(_code(error)) or classify_http_status_code(status)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
