"""Forms as ``multipart/form-data`` (RFC 7578), which some carriers post: texts alone, no files.

Read by the standard library's parser of messages; the body is bounded already. Next: that carrier's
`parse_status`.
"""

from __future__ import annotations

from email import message_from_bytes
from email.errors import MessageError

from telebot.call.errors import BadRequest
from telebot.carriers.fields import MAX_FIELDS, Fields
from telebot.carriers.port import Webhook


def parts(webhook: Webhook) -> Fields:
    """The fields of such a body. Raises `BadRequest`."""
    kind = webhook.headers.get("content-type", "").replace("\r", " ").replace("\n", " ")
    try:
        head = f"Content-Type: {kind}\r\n\r\n".encode("ascii")
        message = message_from_bytes(head + webhook.body)
        inner = [part for part in message.walk() if part is not message]
        if not message.is_multipart() or len(inner) > MAX_FIELDS:
            raise BadRequest("the body is not what its content type says")
        read = Fields()
        for part in inner:
            name = part.get_param("name", header="content-disposition")
            value = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(value, bytes):
                read.add(name, value.decode("utf-8"))
    except (MessageError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadRequest("the body is not what its content type says") from error
    return read
