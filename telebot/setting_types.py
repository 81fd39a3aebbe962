"""What settings are made of: rows, values that a plain type does not describe, and what is said
where one is miswritten.

`settings.py` uses them in its rows.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

PUBLIC_URL = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
PREFIX = re.compile(r"\+[0-9]*|[0-9*#]+|sips?:[^\s<>\"]+")
ORIGIN = re.compile(r"https?://[a-z0-9.\-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")
AGENT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class Row(BaseModel):
    """A group of settings; unknown keys are refused, values are checked once."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def row(default: Any, help: str, *, unit: str = "", env: str = "", **limits: Any) -> Any:
    """One setting: its default, its help line, its unit and its environment variable."""
    extra: JsonDict = {"unit": unit, "env": env}
    return Field(default, description=help, json_schema_extra=extra, **limits)


def _address(value: Any) -> Any:
    host, colon, port = str(value).rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"write HOST:PORT, for example 127.0.0.1:8080 (got {value!r})")
    return f"{host}:{int(port)}"


def _public_url(value: Any) -> Any:
    if value and not PUBLIC_URL.fullmatch(str(value)):
        raise ValueError(f"write https://HOST, for example https://bot.example.com (got {value!r})")
    return value


def _agent_name(value: Any) -> Any:
    if not AGENT_NAME.fullmatch(str(value)):
        raise ValueError(
            f"write small letters, digits and hyphens, like front-desk (got {value!r})"
        )
    return value


def _networks(value: Any) -> Any:
    if isinstance(value, str):
        value = [part for part in value.replace(",", " ").split() if part]
    if not isinstance(value, list | tuple):
        raise ValueError("write a list, for example [10.0.0.0/8]")
    for network in value:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise ValueError(f"write networks like 10.0.0.0/8 (got {network!r})") from None
    return tuple(value)


def _prefixes(value: Any) -> Any:
    if isinstance(value, str):
        value = [part for part in re.split(r"[,\s]+", value) if part]
    if not isinstance(value, list | tuple):
        raise ValueError('write a list, for example ["+44"]')
    for prefix in value:
        if not isinstance(prefix, str) or not PREFIX.fullmatch(prefix):
            raise ValueError(f'write numbers in quotes, like "+4420" (got {prefix!r})')
    return tuple(value)


def _origins(value: Any) -> Any:
    if isinstance(value, str):
        value = [part for part in re.split(r"[,\s]+", value) if part]
    if not isinstance(value, list | tuple):
        raise ValueError("write a list, for example [https://app.example.com]")
    for origin in value:
        if not isinstance(origin, str) or not ORIGIN.fullmatch(origin):
            raise ValueError(
                f"write each as a browser sends it, like https://app.example.com (got {origin!r})"
            )
    return tuple(value)


Address = Annotated[str, BeforeValidator(_address)]
Networks = Annotated[tuple[str, ...], BeforeValidator(_networks)]
PublicUrl = Annotated[str, BeforeValidator(_public_url)]
AgentName = Annotated[str, BeforeValidator(_agent_name)]
Prefixes = Annotated[tuple[str, ...], BeforeValidator(_prefixes)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
