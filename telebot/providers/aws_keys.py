"""Whose keys a request to AWS is signed with, for services that botocore does not speak to itself.

AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN); with `api_key_env: null` those that
AWS gives the machine (instance role, IRSA, profile). A key that is stored in one piece is
``ID:SECRET`` or ``ID:SECRET:TOKEN``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.credentials import Credentials  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
from botocore.session import get_session  # type: ignore[import-untyped]

from telebot.call.errors import ProviderConfigError
from telebot.providers.clips import lost
from telebot.providers.failure import Cause

REGION = "us-east-1"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SESSION = "AWS_SESSION_TOKEN"
PARTS = tuple(name.lower() for name in (*KEYS, SESSION))  # of a key in one piece, between colons


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """`given` is empty where the machine's own are meant."""

    given: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, options: Mapping[str, Any], environ: Mapping[str, str], who: str) -> AwsKeys:
        """Raises ProviderConfigError."""
        if "api_key_env" in options and not options["api_key_env"]:
            return cls({})
        own = options.get("api_key_env") or f"{who.upper().partition('-')[0]}_API_KEY"
        if ":" in environ.get(str(own), ""):
            return cls(dict(zip(PARTS, environ[str(own)].split(":", 2), strict=False)))
        lacking = [name for name in KEYS if not environ.get(name)]
        if lacking:
            raise ProviderConfigError(
                f"{who} needs a key: set {' and '.join(lacking)} in the environment, or write "
                "`api_key_env: null` where AWS gives this machine its keys"
            )
        return cls({name.lower(): environ[name] for name in (*KEYS, SESSION) if environ.get(name)})

    async def credentials(self, who: str) -> Any:
        """What botocore signs with. The machine's own are looked for off the event loop, since
        that may ask the network. Raises `ClipFailed`."""
        if self.given:
            given = self.given
            return Credentials(
                given["aws_access_key_id"],
                given["aws_secret_access_key"],
                given.get("aws_session_token"),
            )
        try:
            found = await asyncio.to_thread(lambda: get_session().get_credentials())
            frozen = found and await asyncio.to_thread(found.get_frozen_credentials)
        except BotoCoreError as error:
            raise lost(Cause.REFUSED, f"{who}: {type(error).__name__}") from None
        if frozen is None:
            raise lost(Cause.REFUSED, f"{who}: AWS gives this machine no keys")
        return frozen
