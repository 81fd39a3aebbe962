"""The wire of every registered carrier that streams media: messages in files named by their defect.

Under `tests/wire/NAME/`: `good/` as the vendor documents them, named by what they are (`start`,
`media`, `stop`; where the wire has them `connected`, `dtmf`, `mark`, `reply`, `notice`; a name may
go on behind a dash) · `ignored/WHY/` counted under WHY and dropped · `closes/CODE/` end the
stream · `no-token/` are well formed and let nobody in (none where a stream without one offers the
call itself). `.bin` is a binary message, anything else text. `upgrade.json` holds the `url`, the
`headers` and the `peer` of the request that opens the socket, where they matter. What the messages
say, and what we send, stands in `test_NAME_wire.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.call.errors import BadWire
from telebot.call.events import (
    Connected,
    Digit,
    Ignored,
    Media,
    Notice,
    Played,
    Reply,
    Started,
    Stopped,
)
from telebot.carriers.port import OffersOnMedia, StreamsMedia, Webhook
from telebot.carriers.registry import CARRIERS, Carriers, load
from telebot.settings import load as load_settings

pytestmark = pytest.mark.wire

WIRE = Path(__file__).parent
STREAMING = [name for name in CARRIERS if hasattr(load(name), "codec")]
KINDS = {
    "connected": Connected,
    "start": Started,
    "media": Media,
    "dtmf": Digit,
    "mark": Played,
    "reply": Reply,
    "notice": Notice,
    "stop": Stopped,
}


def _messages(kind: str):
    return [
        pytest.param(name, path, id=f"{name}-{path.relative_to(WIRE / name).with_suffix('')}")
        for name in STREAMING
        for path in sorted((WIRE / name).glob(f"{kind}/**/*.*"))
    ]


def _good(name: str, kind: str) -> Path:
    """The first good message of a kind."""
    return sorted((WIRE / name / "good").glob(f"{kind}*"))[0]


def _decoded(codec, path: Path):
    return (codec.decode_binary if path.suffix == ".bin" else codec.decode)(path.read_bytes())


def upgrade(name: str) -> Webhook:
    """The request that opens a carrier's media socket."""
    path = WIRE / name / "upgrade.json"
    tree = json.loads(path.read_text()) if path.exists() else {}
    url = tree.get("url", f"https://bot.example/{name}/media")
    return Webhook("GET", url, tree.get("headers", {}), b"", tree.get("peer", "127.0.0.1"))


@pytest.fixture(scope="module")
def carriers(tmp_path_factory):
    data = str(tmp_path_factory.mktemp("data"))
    return Carriers(load_settings(environ={}, overrides={"server.data": data}))


@pytest.fixture(scope="module")
def codec(carriers):
    """A fresh codec of a carrier, by its name."""

    def of(name: str, *, started: bool = True):
        codec = carriers.get(name).codec(upgrade(name))
        if started:
            assert isinstance(_decoded(codec, _good(name, "start")), Started)
        return codec

    return of


@pytest.mark.parametrize("name", STREAMING)
def test_every_carrier_brings_its_wire(carriers, name):
    carrier = carriers.get(name)
    assert isinstance(carrier, StreamsMedia)
    offers = isinstance(carrier, OffersOnMedia)
    for kind in ("good", "ignored", "closes", *(() if offers else ("no-token",))):
        assert list((WIRE / name / kind).glob("**/*.*")), f"{name}: no {kind} messages"
    kinds = {path.stem.partition("-")[0] for path in (WIRE / name / "good").iterdir()}
    assert {"start", "media"} <= kinds <= KINDS.keys()


@pytest.mark.parametrize(("name", "path"), _messages("good"))
def test_a_good_message_is_understood(codec, name, path):
    kind = path.stem.partition("-")[0]
    event = _decoded(codec(name, started=kind != "start"), path)
    assert isinstance(event, KINDS[kind])
    match event:
        case Started(stream_id, call_id, _):
            assert stream_id
            assert call_id
        case Media(ulaw, timestamp_ms):
            assert ulaw
            assert timestamp_ms >= 0
        case Digit(digit):
            assert digit in "0123456789*#ABCD"


@pytest.mark.parametrize(("name", "path"), _messages("ignored"))
def test_junk_is_ignored_for_its_reason(codec, name, path):
    stream = codec(name)
    assert _decoded(stream, path) == Ignored(path.parent.name)
    good = _decoded(stream, _good(name, "media"))
    assert isinstance(good, Media)  # nothing was broken by it


@pytest.mark.parametrize(("name", "path"), _messages("closes"))
def test_what_cannot_be_served_closes_with_its_code(codec, name, path):
    with pytest.raises(BadWire) as raised:
        _decoded(codec(name, started=False), path)
    assert str(raised.value.close_code) == path.parent.name


@pytest.mark.parametrize(("name", "path"), _messages("no-token"))
def test_a_start_without_a_token_brings_none(codec, name, path):
    event = _decoded(codec(name, started=False), path)
    assert isinstance(event, Started)
    assert all(isinstance(value, str) for value in event.parameters.values())
    assert len(event.parameters) <= 32


@pytest.mark.parametrize("name", STREAMING)
@pytest.mark.parametrize("kind", ["media", "dtmf", "mark"])
def test_nothing_is_heard_before_the_start(codec, name, kind):
    for path in (WIRE / name / "good").glob(f"{kind}*"):
        assert _decoded(codec(name, started=False), path) == Ignored("before_start")


@pytest.mark.parametrize("name", STREAMING)
@given(ulaw=st.binary(min_size=1, max_size=2000))
def test_any_audio_can_be_sent(codec, name, ulaw):
    stream = codec(name)
    assert isinstance(stream.audio(ulaw), bytes)
    for message in (stream.mark('a "name"'), stream.clear()):
        assert message is None or isinstance(message, bytes)
    assert all(isinstance(message, bytes) for message in stream.goodbye("bot_hangup"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = ("event", "type", "media", "start", "dtmf", "mark", "payload", "timestamp", "streamSid")
TREES = st.dictionaries(st.sampled_from((*NAMES, "track", "parameters")), JSON)
MESSAGES = (
    st.binary(max_size=200)
    | JSON.map(lambda tree: json.dumps(tree).encode())
    | st.builds(
        lambda event, tree, inner: json.dumps({**tree, "event": event, event: inner}).encode(),
        st.sampled_from(["connected", "start", "media", "dtmf", "mark", "stop"]),
        TREES,
        JSON | TREES,
    )
)


@st.composite
def _damaged(draw, name: str):
    """A good message with a piece of it changed."""
    paths = sorted((WIRE / name / "good").iterdir())
    whole = bytearray(draw(st.sampled_from(paths)).read_bytes())
    at = draw(st.integers(0, max(0, len(whole) - 1)))
    whole[at : at + draw(st.integers(0, 12))] = draw(st.binary(max_size=12))
    return bytes(whole)


@pytest.mark.parametrize("name", STREAMING)
@given(data=st.data(), started=st.booleans())
def test_no_bytes_raise_anything_but_bad_wire(codec, name, data, started):
    stream = codec(name, started=started)
    messages = data.draw(st.lists(MESSAGES | _damaged(name), max_size=5))
    known = (*KINDS.values(), Ignored)
    for message in messages:
        decode = data.draw(st.sampled_from([stream.decode, stream.decode_binary]))
        try:
            event = decode(message)
        except BadWire:
            break
        assert isinstance(event, known)
