"""One vendor's HTTP for work that is no call: where it is, who asks, answers of a known shape.

For the `NAME_clips.py` of vendors without an SDK of use. Asks by `asking.py`; what is alike among
their recognisers is in `http_hearing.py`, among their voices in `http_voice.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from telebot.providers import vendor
from telebot.providers.asking import asked, read_json
from telebot.providers.clips import ClipFailed, lost
from telebot.providers.failure import Cause
from telebot.providers.resources import Resources

Answer = TypeVar("Answer", bound=BaseModel)
GOOD = (200, 201, 202, 204)
DISCARD_S = 3.0


@dataclass(frozen=True, slots=True)
class VendorHttp:
    """`url` has no slash at its end; `headers` say who asks and stand in no message."""

    resources: Resources
    who: str
    url: str
    headers: Mapping[str, str] = field(repr=False)

    def asked(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **request: Any
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """The answer to one request, as of `asking.asked`."""
        return asked(
            self.resources,
            method,
            f"{self.url}{path}",
            who=self.who,
            good=GOOD,
            headers={**self.headers, **(headers or {})},
            **request,
        )

    def at(self, url: str) -> VendorHttp:
        """The same account at another address: a region's sockets have their own host."""
        return replace(self, url=url)

    async def read(self, shape: type[Answer], method: str, path: str, **request: Any) -> Answer:
        """The answer's JSON. Raises `ClipFailed`, also where it is of another shape."""
        async with self.asked(method, path, **request) as answer:
            return self.shaped(shape, await read_json(answer, who=self.who))

    def shaped(self, shape: type[Answer], tree: Any) -> Answer:
        """Raises `ClipFailed`."""
        try:
            return shape.model_validate(tree)
        except ValidationError:
            raise lost(Cause.ERROR, f"{self.who} answers without {shape.__name__}") from None

    async def discard(self, *paths: str) -> None:
        """Have the vendor delete these; whether it does is its own business. Bounded."""
        with suppress(ClipFailed, TimeoutError):
            async with asyncio.timeout(DISCARD_S):
                for path in paths:
                    async with self.asked("DELETE", path):
                        pass


def account(
    options: Mapping[str, Any],
    resources: Resources,
    *,
    name: str,
    url: str,
    headers: Callable[[str], Mapping[str, str]],
    who: str = "",
    keys: tuple[str, ...] = vendor.MODEL_KEYS,
) -> VendorHttp:
    """Whose account is used: `name` (``GLADIA``) begins the variables, `headers` makes those of a
    key, `who` is the provider's name where that is another. Raises ProviderConfigError."""
    who = who or name.lower()
    vendor.check_known("key", options, keys, who)
    key, address = vendor.access(options, resources.environ, name, url)
    address = address.rstrip("/")
    return VendorHttp(resources, who, address, headers(key))


def bearer(key: str) -> dict[str, str]:
    """``Authorization: Bearer KEY``."""
    return {"Authorization": f"Bearer {key}"}


def file_form(field_name: str, audio: bytes, **fields: str) -> aiohttp.FormData:
    """A form with a WAV file and some fields; a form can be sent once."""
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field(field_name, audio, filename="audio.wav", content_type="audio/wav")
    return form
