"""Reads the answer to a voice webhook as Twilio would: strictly, and without following entities.

https://www.twilio.com/docs/voice/twiml/stream. What an answer says besides the stream is kept as
verbs, so that a refusal can be shown. Goes on to `twilio_exchange.py`.
"""

from __future__ import annotations

import xml.parsers.expat
from dataclasses import dataclass, field
from urllib.parse import urlsplit

MAX_TWIML_BYTES = 64 * 1024
MAX_PARAMETER_CHARS = 500  # name and value together, Twilio's limit
MAX_DEPTH = 8


class BadTwiml(ValueError):
    """Twilio would not carry on the call with this answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One instruction; `text` is its own, `inner` what it encloses."""

    name: str
    attributes: dict[str, str]
    inner: list[Verb] = field(default_factory=list)
    text: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Where the call's audio goes (`url` is None where the call is refused), what `start` carries,
    and the verbs around it: `said` in the answer itself, `after` the stream, with the URL that is
    asked then in `redirect`."""

    url: str | None
    parameters: dict[str, str]
    said: str
    after: tuple[str, ...]
    redirect: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)  # of ``<Stream>``


def parse(body: bytes) -> Answer:
    """The first ``<Connect><Stream>`` of a response. Raises `BadTwiml`."""
    verbs = verbs_of(body)
    names = [verb.name for verb in verbs]
    said = " ".join(verb.text.strip() for verb in verbs if verb.name == "Say")
    if "Connect" not in names:
        return Answer(None, {}, said, tuple(names))
    at = names.index("Connect")
    url, parameters, attributes = _stream(verbs[at])
    after = verbs[at + 1 :]
    redirects = [verb.text.strip() for verb in after if verb.name == "Redirect"]
    redirect = next(iter(redirects), None)
    return Answer(url, parameters, said, tuple(names[at + 1 :]), redirect, attributes)


def verbs_of(body: bytes) -> list[Verb]:
    """What ``<Response>`` encloses. Raises `BadTwiml`."""
    if len(body) > MAX_TWIML_BYTES:
        raise BadTwiml(f"{len(body)} bytes, Twilio takes {MAX_TWIML_BYTES}")
    reader = _Reader()
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = reader.begin
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = _no_doctype
    try:
        parser.Parse(body, True)
    except xml.parsers.expat.ExpatError as error:
        raise BadTwiml(f"not XML: {error}") from None
    root = reader.top[0]
    if root.name != "Response":
        raise BadTwiml(f"the root must be <Response>, not <{root.name}>")
    return root.inner


class _Reader:
    """Builds verbs out of expat's events."""

    def __init__(self) -> None:
        self.top: list[Verb] = []
        self._open: list[tuple[Verb, list[str]]] = []

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise BadTwiml("nested too deeply")
        self._open.append((Verb(name, attributes), []))

    def characters(self, text: str) -> None:
        self._open[-1][1].append(text)

    def end(self, name: str) -> None:
        verb, texts = self._open.pop()
        whole = Verb(verb.name, verb.attributes, verb.inner, "".join(texts))
        (self._open[-1][0].inner if self._open else self.top).append(whole)


def _no_doctype(*_: object) -> None:
    raise BadTwiml("a document type is not allowed")


def _stream(connect: Verb) -> tuple[str, dict[str, str], dict[str, str]]:
    streams = [verb for verb in connect.inner if verb.name == "Stream"]
    if len(connect.inner) != 1 or not streams:
        raise BadTwiml("<Connect> must hold exactly one <Stream>")
    parameters: dict[str, str] = {}
    for verb in streams[0].inner:
        if verb.name != "Parameter" or set(verb.attributes) != {"name", "value"}:
            raise BadTwiml("<Stream> may hold <Parameter name= value=> alone")
        name, value = verb.attributes["name"], verb.attributes["value"]
        if len(name) + len(value) > MAX_PARAMETER_CHARS:
            raise BadTwiml(f"parameter {name!r}: over {MAX_PARAMETER_CHARS} characters")
        parameters[name] = value
    attributes = streams[0].attributes
    return _stream_url(attributes.get("url", "")), parameters, attributes


def _stream_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise BadTwiml("the stream's url cannot be read") from None
    if parts.scheme not in ("ws", "wss") or not host:
        raise BadTwiml(f"the stream's url must be ws: or wss:, not {parts.scheme or 'nothing'}:")
    if parts.query or parts.fragment:
        raise BadTwiml("the stream's url takes no query; Twilio would drop it")
    return url
