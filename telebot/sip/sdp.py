"""Session descriptions: what a peer offers or answers, what we offer and answer. No I/O.

RFC 8866 (SDP), RFC 3264 (offer and answer), RFC 3551 (static payload types), RFC 4733
(telephone-event), RFC 3605 (`a=rtcp`), RFC 5761 (`a=rtcp-mux`). Of everything offered we take one
audio stream of G.711; other streams are refused by port 0 in their place (RFC 3264 section 6).
What was agreed is a `Negotiated`, on which `rtp.py` sends and receives.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from telebot.call.errors import CarrierError

LONGEST = 16_384  # bytes of a description; real ones have less than two thousand
MOST_LINES, MOST_STREAMS = 512, 16
EVENTS = 101  # the payload type of telephone-event in our own offers
LEAST_PTIME_MS, MOST_PTIME_MS, PTIME_MS = 10, 60, 20
RATE_HZ = 8000
STATIC = {0: "PCMU", 8: "PCMA"}  # RFC 3551 table 4
G711 = ("PCMU", "PCMA")
PROFILES = ("RTP/AVP", "RTP/AVPF")
NUMBER = re.compile(r"[0-9]{1,10}")
RTPMAP = re.compile(r"([0-9]{1,3})\s+([!-.0-~]+)/([0-9]{1,6})(?:/([0-9]{1,2}))?\s*")


class BadSdp(CarrierError):
    """Bytes that are no session description (answer 400)."""


class NotAcceptable(CarrierError):
    """A description without anything that we can carry (answer 488)."""


class Direction(Enum):
    """`a=sendrecv` and its kin, always from the side of whoever wrote it."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    def mirrored(self) -> Direction:
        """The same as the other side sees it."""
        return direction(self.receives, self.sends)


def direction(sends: bool, receives: bool) -> Direction:
    if sends:
        return Direction.SENDRECV if receives else Direction.SENDONLY
    return Direction.RECVONLY if receives else Direction.INACTIVE


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type of G.711."""

    payload_type: int
    name: str  # PCMU or PCMA


@dataclass(frozen=True, slots=True)
class Local:
    """Our side of one call: where we want RTP sent (`port` even, RTCP on the next one).

    `version` has to grow by one with each description of the call that says something new."""

    address: str
    port: int
    session_id: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """What one side offers or answers. `address` is an IP address; `direction` is the writer's."""

    address: str
    port: int
    rtcp_port: int
    codecs: tuple[Codec, ...]  # in the writer's order of preference
    events: int | None  # payload type of telephone-event
    ptime_ms: int
    direction: Direction
    mux: bool = False  # RTCP on the port of RTP
    profile: str = "RTP/AVP"
    refused: tuple[str, ...] = ()  # the other streams, as they are to be answered
    place: int = 0  # of our stream among all


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What holds for one call until the next offer. Payload types are those to be written into
    packets; `accepts` and `events_in` are what may come. `direction` is ours."""

    address: str
    port: int
    rtcp_port: int
    codec: Codec
    accepts: tuple[Codec, ...]
    events: int | None
    events_in: frozenset[int]
    ptime_ms: int
    direction: Direction
    mux: bool = False

    @property
    def held(self) -> bool:
        """Not both ways: silence says nothing about the peer now."""
        return self.direction is not Direction.SENDRECV


# --- reading -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Stream:
    """One `m=` line and what stands below it."""

    kind: str
    port: int
    profile: str
    formats: list[str]
    address: str | None
    lines: list[str]


def read(body: bytes) -> MediaDescription:
    """A description as it came. Raises `BadSdp` where it cannot be read, `NotAcceptable` where
    none of its streams can be carried here."""
    session, streams = _sections(body)
    if not streams:
        raise NotAcceptable("no media in the session description")
    refused = tuple(f"m={s.kind} 0 {s.profile} {' '.join(s.formats)}" for s in streams)
    why = "no audio offered"
    for place, stream in enumerate(streams):
        if stream.kind != "audio" or stream.port == 0:
            continue
        if stream.profile not in PROFILES:
            why = f"audio over {stream.profile}; here it is RTP/AVP, SRTP ends at the proxy"
            continue
        codecs, events = _formats(stream)
        if not codecs:
            why = "no G.711 offered"
            continue
        others = (*refused[:place], *refused[place + 1 :])
        return _described(session, stream, (codecs, events), (others, place))
    raise NotAcceptable(why)


def _sections(body: bytes) -> tuple[_Stream, list[_Stream]]:
    """The session's own lines and each stream's. Every line is `x=…` (RFC 8866 section 5)."""
    if len(body) > LONGEST:
        raise BadSdp(f"a session description of {len(body)} bytes, at most {LONGEST}")
    try:
        lines = body.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise BadSdp("a session description that is not UTF-8") from error
    lines = [line for line in lines if line]
    if len(lines) > MOST_LINES or not lines or lines[0].strip() != "v=0":
        raise BadSdp("not a session description of version 0")
    session = _Stream("", 0, "", [], None, [])
    streams: list[_Stream] = []
    for line in lines:
        if len(line) < 2 or line[1] != "=" or "\0" in line or "\r" in line:
            raise BadSdp("a line of the session description is not x=value")
        if line[0] == "m":
            streams.append(_media(line[2:]))
        elif line[0] == "c":
            (streams[-1] if streams else session).address = _connection(line[2:])
        elif line[0] == "a":
            (streams[-1] if streams else session).lines.append(line[2:].strip())
    if len(streams) > MOST_STREAMS:
        raise BadSdp(f"{len(streams)} streams, at most {MOST_STREAMS}")
    return session, streams


def _media(value: str) -> _Stream:
    parts = value.split()
    if len(parts) < 4:
        raise BadSdp("m= needs a kind, a port, a protocol and formats")
    kind, port, profile, *formats = parts
    return _Stream(kind, _port(port.partition("/")[0]), profile, formats, None, [])


def _port(text: str) -> int:
    if not NUMBER.fullmatch(text) or int(text) > 65_535:
        raise BadSdp("a port that is none")
    return int(text)


def _connection(value: str) -> str:
    parts = value.split()
    if len(parts) != 3 or parts[0] != "IN" or parts[1] not in ("IP4", "IP6"):
        raise BadSdp("c= must be IN IP4 or IN IP6 and an address")
    try:
        address = ipaddress.ip_address(parts[2].partition("/")[0])
    except ValueError:
        raise BadSdp("c= must hold an IP address, names are not looked up") from None
    if address.is_multicast or address.version != int(parts[1][2]):
        raise BadSdp("c= holds an address that no call can be sent to")
    return str(address)


def _formats(stream: _Stream) -> tuple[tuple[Codec, ...], int | None]:
    """G.711 and telephone-event among the payload types, in the order of `m=`."""
    named = {number: (name, RATE_HZ) for number, name in STATIC.items()}
    for line in stream.lines:
        if line.startswith("rtpmap:") and (found := RTPMAP.fullmatch(line[7:])):
            number, name, rate, channels = found.groups()
            if channels in (None, "1") and int(number) < 128:
                named[int(number)] = (name.upper(), int(rate))
    codecs: dict[int, Codec] = {}
    events: int | None = None
    for text in stream.formats:
        if not NUMBER.fullmatch(text):
            raise BadSdp("a payload type that is no number")
        name, rate = named.get(int(text), ("", 0))
        if rate != RATE_HZ:
            continue
        if name in G711:
            codecs.setdefault(int(text), Codec(int(text), name))
        elif name == "TELEPHONE-EVENT" and events is None:
            events = int(text)
    return tuple(codecs.values()), events


def _described(
    session: _Stream,
    stream: _Stream,
    formats: tuple[tuple[Codec, ...], int | None],
    others: tuple[tuple[str, ...], int],
) -> MediaDescription:
    address = stream.address or session.address
    if address is None:
        raise BadSdp("no c= line for the audio")
    mux = "rtcp-mux" in stream.lines
    rtcp_port = stream.port if mux else min(stream.port + 1, 65_535)
    ptime_ms, most_ms = PTIME_MS, MOST_PTIME_MS
    way = _way(session.lines) or Direction.SENDRECV
    for line in stream.lines:
        name, _, value = line.partition(":")
        number = value.split()[0] if value.split() else ""
        if name == "ptime":
            ptime_ms = _milliseconds(number, ptime_ms)
        elif name == "maxptime":
            most_ms = _milliseconds(number, most_ms)
        elif name == "rtcp" and not mux and (port := _port(number)):
            rtcp_port = port
    way = _way(stream.lines) or way
    if ipaddress.ip_address(address).is_unspecified:  # hold as RFC 2543 wrote it
        way = direction(way.sends, False)
    return MediaDescription(
        address,
        stream.port,
        rtcp_port,
        *formats,
        max(LEAST_PTIME_MS, min(ptime_ms, most_ms, MOST_PTIME_MS)),
        way,
        mux,
        stream.profile,
        *others,
    )


def _milliseconds(text: str, otherwise: int) -> int:
    """A packet time, which some write as 20.0; what cannot be read is no reason to end a call."""
    whole = text.partition(".")[0]
    return int(whole) if NUMBER.fullmatch(whole) and int(whole) else otherwise


def _way(lines: Sequence[str]) -> Direction | None:
    for way in Direction:
        if way.value in lines:
            return way
    return None


# --- writing -----------------------------------------------------------------------------------


def offer(
    local: Local,
    codecs: Sequence[str] = G711,
    *,
    way: Direction = Direction.SENDRECV,
    ptime_ms: int = PTIME_MS,
) -> bytes:
    """Our own offer: a late one in a 200, a call we make, a re-INVITE of ours."""
    offered = [Codec(0 if name == "PCMU" else 8, name) for name in codecs]
    return _written(local, offered, EVENTS, ptime_ms, way)


def answer(
    remote: MediaDescription,
    local: Local,
    allowed: Collection[str] = G711,
    *,
    way: Direction = Direction.SENDRECV,
) -> tuple[bytes, Negotiated]:
    """Our answer to an offer, and what then holds. The first of their codecs that is allowed
    wins, as it is what they would rather have. `way` is ours, where we hold the call. Raises
    `NotAcceptable`."""
    codecs = [codec for codec in remote.codecs if codec.name in allowed]
    if not codecs:
        raise NotAcceptable(f"none of {', '.join(allowed)} offered")
    ours = remote.direction.mirrored()
    ours = direction(ours.sends and way.sends, ours.receives and way.receives)
    body = _written(local, codecs[:1], remote.events, remote.ptime_ms, ours, remote=remote)
    return body, _agreed(remote, codecs[0], tuple(codecs), remote.events, ours)


def accept(ours: bytes, theirs: MediaDescription) -> Negotiated:
    """What holds after their answer to our offer. Raises `NotAcceptable` where they chose what we
    did not offer."""
    offered = read(ours)
    names = {codec.name for codec in offered.codecs}
    codecs = [codec for codec in theirs.codecs if codec.name in names]
    if not codecs:
        raise NotAcceptable("an answer without a codec of our offer")
    mirrored = theirs.direction.mirrored()
    way = direction(
        mirrored.sends and offered.direction.sends, mirrored.receives and offered.direction.receives
    )
    return _agreed(theirs, codecs[0], (*offered.codecs, *codecs), offered.events, way)


def _agreed(
    remote: MediaDescription,
    codec: Codec,
    accepts: tuple[Codec, ...],
    events_in: int | None,
    way: Direction,
) -> Negotiated:
    """`accepts` may name a payload type twice; the first counts, which is the one we wrote."""
    types: dict[int, Codec] = {}
    for one in accepts:
        types.setdefault(one.payload_type, one)
    both = {number for number in (remote.events, events_in) if number is not None}
    return Negotiated(
        remote.address,
        remote.port,
        remote.rtcp_port,
        codec,
        tuple(types.values()),
        remote.events,
        frozenset(both - types.keys()),
        remote.ptime_ms,
        way,
        remote.mux,
    )


def _written(
    local: Local,
    codecs: Sequence[Codec],
    events: int | None,
    ptime_ms: int,
    way: Direction,
    *,
    remote: MediaDescription | None = None,
) -> bytes:
    family = f"IP{ipaddress.ip_address(local.address).version}"
    types = [codec.payload_type for codec in codecs] + ([] if events is None else [events])
    profile = remote.profile if remote else PROFILES[0]
    mux = remote is not None and remote.mux
    ours = [
        f"m=audio {local.port} {profile} {' '.join(map(str, types))}",
        *(f"a=rtpmap:{codec.payload_type} {codec.name}/{RATE_HZ}" for codec in codecs),
    ]
    if events is not None:
        ours += [f"a=rtpmap:{events} telephone-event/{RATE_HZ}", f"a=fmtp:{events} 0-15"]
    ours += [f"a=ptime:{ptime_ms}", f"a={way.value}"]
    ours += ["a=rtcp-mux"] if mux else [f"a=rtcp:{local.port + 1}"]
    streams = list(remote.refused) if remote else []
    streams[remote.place if remote else 0 : 0] = ours
    lines = [
        "v=0",
        f"o=- {local.session_id} {local.version} IN {family} {local.address}",
        "s=-",
        f"c=IN {family} {local.address}",
        "t=0 0",
        *streams,
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()
