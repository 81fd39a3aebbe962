"""Every registered carrier's wire: messages in files named by their defect, under `tests/wire/`.

`good/` as the vendor documents them · `ignored/WHY/` counted under WHY and dropped ·
`closes/CODE/` end the stream · `no-token/` are well formed and let nobody in.
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
    Played,
    Started,
    Stopped,
)
from telebot.carriers.registry import CARRIERS, Carriers
from telebot.settings import load as load_settings

pytestmark = pytest.mark.wire

WIRE = Path(__file__).parent


def _messages(kind: str):
    return [
        pytest.param(name, path, id=f"{name}-{path.relative_to(WIRE / name).with_suffix('')}")
        for name in CARRIERS
        for path in sorted((WIRE / name).glob(f"{kind}/**/*.json"))
    ]


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    """A fresh codec of a carrier, by its name."""
    data = str(tmp_path_factory.mktemp("data"))
    carriers = Carriers(load_settings(environ={}, overrides={"server.data": data}))

    def of(name: str, *, started: bool = True):
        codec = carriers.get(name).codec()
        if started:
            assert isinstance(codec.decode((WIRE / name / "good/start.json").read_bytes()), Started)
        return codec

    return of


@pytest.mark.parametrize("name", CARRIERS)
def test_every_carrier_brings_its_wire(name):
    for kind in ("good", "ignored", "closes", "no-token"):
        assert list((WIRE / name / kind).glob("**/*.json")), f"{name}: no {kind} messages"
    assert {path.stem for path in (WIRE / name / "good").iterdir()} >= {
        "connected", "start", "media", "dtmf", "mark", "stop",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "path"), _messages("good"))
def test_a_good_message_is_understood(codec, name, path):
    event = codec(name, started=path.stem != "start").decode(path.read_bytes())
    kinds = {"connected": Connected, "start": Started, "media": Media, "dtmf": Digit}
    kinds |= {"mark": Played, "stop": Stopped}
    assert isinstance(event, kinds[path.stem.partition("-")[0]])
    match event:
        case Started(stream_id, call_id, parameters):
            assert (stream_id[:2], call_id[:2], parameters["token"]) == ("MZ", "CA", "a.b.c")
        case Media(ulaw, timestamp_ms):
            assert (ulaw, timestamp_ms) == (b"\x7e" * 160, 60)
        case Digit(digit):
            assert digit in "1D"
        case Played(mark):
            assert mark == "my label"


@pytest.mark.parametrize(("name", "path"), _messages("ignored"))
def test_junk_is_ignored_for_its_reason(codec, name, path):
    stream = codec(name)
    assert stream.decode(path.read_bytes()) == Ignored(path.parent.name)
    good = stream.decode((WIRE / name / "good/media.json").read_bytes())
    assert isinstance(good, Media)  # nothing was broken by it


@pytest.mark.parametrize(("name", "path"), _messages("closes"))
def test_what_cannot_be_served_closes_with_its_code(codec, name, path):
    with pytest.raises(BadWire) as raised:
        codec(name, started=False).decode(path.read_bytes())
    assert str(raised.value.close_code) == path.parent.name


@pytest.mark.parametrize(("name", "path"), _messages("no-token"))
def test_a_start_without_a_token_brings_none(codec, name, path):
    event = codec(name, started=False).decode(path.read_bytes())
    assert isinstance(event, Started)
    assert all(isinstance(value, str) for value in event.parameters.values())
    assert len(event.parameters) <= 32


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize("kind", ["media", "dtmf", "mark"])
def test_nothing_is_heard_before_the_start(codec, name, kind):
    message = (WIRE / name / f"good/{kind}.json").read_bytes()
    assert codec(name, started=False).decode(message) == Ignored("before_start")


@pytest.mark.parametrize("name", CARRIERS)
def test_what_we_send_is_what_the_carrier_takes(codec, name):
    stream = codec(name)
    sid = json.loads((WIRE / name / "good/start.json").read_bytes())["streamSid"]
    assert json.loads(stream.audio(b"\x00\xff\x7e")) == {
        "event": "media",
        "streamSid": sid,
        "media": {"payload": "AP9+"},
    }
    assert json.loads(stream.mark('a "name"')) == {
        "event": "mark",
        "streamSid": sid,
        "mark": {"name": 'a "name"'},
    }
    assert json.loads(stream.clear()) == {"event": "clear", "streamSid": sid}


@pytest.mark.parametrize("name", CARRIERS)
@given(ulaw=st.binary(min_size=1, max_size=2000))
def test_audio_comes_back_as_it_went(codec, name, ulaw):
    stream = codec(name)
    tree = json.loads(stream.audio(ulaw))
    tree["media"] |= {"timestamp": "20", "track": "inbound"}
    assert stream.decode(json.dumps(tree).encode()) == Media(ulaw, 20)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = ("event", "media", "start", "dtmf", "mark", "payload", "timestamp", "streamSid", "track")
TREES = st.dictionaries(st.sampled_from(NAMES), JSON)
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


@pytest.mark.parametrize("name", CARRIERS)
@given(messages=st.lists(MESSAGES, max_size=5), started=st.booleans())
def test_no_bytes_raise_anything_but_bad_wire(codec, name, messages, started):
    stream = codec(name, started=started)
    for message in messages:
        try:
            event = stream.decode(message)
        except BadWire:
            break
        assert isinstance(event, Connected | Started | Media | Digit | Played | Stopped | Ignored)
