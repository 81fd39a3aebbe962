"""Amazon's event stream: messages of headers and a payload, each with its checksums.

https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html (the encoding); read by
botocore's own decoder, which has no encoder.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

from botocore.eventstream import (  # type: ignore[import-untyped]
    EventStreamBuffer,
    ParserError,
)

STRING = 7  # the type of a header's value


@dataclass(frozen=True, slots=True)
class Event:
    """One message."""

    headers: Mapping[str, object]
    payload: bytes


def encoded(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A message with text headers."""
    head = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", STRING, len(value))
        + value.encode()
        for name, value in headers.items()
    )  # fmt: skip
    prelude = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    message = prelude + struct.pack("!I", crc32(prelude)) + head + payload
    return message + struct.pack("!I", crc32(message))


def decoded(data: bytes) -> Iterator[Event]:
    """The messages of `data`. Raises ValueError where it is none, or damaged."""
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    try:
        for message in buffer:
            yield Event(message.headers, bytes(message.payload))
    except (ParserError, struct.error, UnicodeDecodeError, KeyError) as error:
        raise ValueError("no event stream") from error
