"""What webhooks carry: fields of a form, of JSON or of a query, bounded and read once.

Used behind a carrier's check of who sent them. Next: that carrier's `parse_offer`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import orjson
from multidict import MultiDict

from telebot.call.errors import BadRequest
from telebot.carriers.port import Webhook

MAX_FIELDS = 256
MAX_FIELD_CHARS = 256
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

Fields = MultiDict[str]


def content_type(webhook: Webhook) -> str:
    """The media type of the body, without its parameters."""
    return webhook.headers.get("content-type", "").partition(";")[0].strip().lower()


def form(text: str) -> Fields:
    """Fields as a form (or a query) writes them. Raises ValueError."""
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    return MultiDict(pairs)


def json_object(body: bytes) -> dict[str, Any]:
    """The object that a body is. Raises `BadRequest`."""
    try:
        tree = orjson.loads(body)
    except ValueError as error:
        raise BadRequest("the body is no JSON") from error
    if not isinstance(tree, dict):
        raise BadRequest("the body is no object")
    return tree


def json_fields(text: str | bytes) -> Fields:
    """The texts of a JSON object. Raises ValueError."""
    tree = orjson.loads(text)
    if not isinstance(tree, dict):
        raise ValueError("not an object")
    return MultiDict((name, value) for name, value in tree.items() if isinstance(value, str))


def query(url: str) -> Fields:
    """The fields of a URL. Raises `BadRequest`."""
    try:
        return form(urlsplit(url).query)
    except ValueError as error:
        raise BadRequest("the query cannot be read") from error


def body(webhook: Webhook) -> Fields:
    """The fields of a body that is a form or JSON. Raises `BadRequest`."""
    try:
        if content_type(webhook) == JSON:
            return json_fields(webhook.body)
        return form(webhook.body.decode("utf-8"))
    except ValueError as error:
        raise BadRequest("the body is not what its content type says") from error


def field(fields: Fields, name: str) -> str:
    """One field, '' where it is not there. Raises `BadRequest` where it is ambiguous or too
    long."""
    values = set(fields.getall(name, [""]))
    value = values.pop()
    if values or len(value) > MAX_FIELD_CHARS:
        raise BadRequest(f"{name} is repeated or too long")
    return value


def agent(url: str) -> str | None:
    """The agent that the webhook's URL names. Raises `BadRequest`."""
    names = parse_qs(urlsplit(url).query).get("agent", [])
    if len(names) > 1 or any(len(name) > MAX_FIELD_CHARS for name in names):
        raise BadRequest("agent is repeated or too long")
    return names[0] if names else None


def texts(tree: object, most: int) -> dict[str, str]:
    """The texts of an object in a message; {} where it is none or has more than `most` members."""
    if not isinstance(tree, dict) or len(tree) > most:
        return {}
    return {name: value for name, value in tree.items() if isinstance(value, str)}


def pairs(parts: Iterable[str]) -> dict[str, str]:
    """``name=value`` each; what is not of that form is left out."""
    split = (part.partition("=") for part in parts)
    return {name.strip(): value.strip() for name, equals, value in split if equals and name.strip()}
