"""Session descriptions of real phones and PBXs, and of those who mean harm."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.sip.sdp import (
    BadSdp,
    Direction,
    Local,
    NotAcceptable,
    accept,
    answer,
    offer,
    read,
)

pytestmark = pytest.mark.unit

LOCAL = Local("198.51.100.7", 20_000, session_id=42, version=3)
PBX = """v=0
o=root 1821 1821 IN IP4 192.0.2.4
s=PBX
c=IN IP4 192.0.2.4
t=0 0
m=audio 11436 RTP/AVP 9 8 0 101
a=rtpmap:9 G722/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=maxptime:150
a=ptime:20
a=sendrecv
"""


def sdp(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def audio(*lines: str, types: str = "0", session: str = "c=IN IP4 192.0.2.4") -> bytes:
    head = f"v=0\no=- 1 1 IN IP4 192.0.2.4\ns=-\n{session}\nt=0 0\nm=audio 4000 RTP/AVP {types}\n"
    return sdp(head + "".join(f"{line}\n" for line in lines))


def test_a_pbx_with_wideband_first_is_answered_in_the_first_g711_it_names():
    offered = read(sdp(PBX))
    assert [codec.name for codec in offered.codecs] == ["PCMA", "PCMU"]
    body, agreed = answer(offered, LOCAL)
    assert agreed.codec.name == "PCMA"
    assert agreed.events == 101
    assert (agreed.address, agreed.port, agreed.rtcp_port) == ("192.0.2.4", 11436, 11437)
    assert body.decode().split("\r\n") == [
        "v=0",
        "o=- 42 3 IN IP4 198.51.100.7",
        "s=-",
        "c=IN IP4 198.51.100.7",
        "t=0 0",
        "m=audio 20000 RTP/AVP 8 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=sendrecv",
        "a=rtcp:20001",
        "",
    ]


def test_a_trunk_that_allows_one_codec_gets_that_one():
    assert answer(read(sdp(PBX)), LOCAL, ["PCMU"])[1].codec.name == "PCMU"
    with pytest.raises(NotAcceptable, match="PCMU"):
        answer(read(audio(types="8")), LOCAL, ["PCMU"])


def test_static_payload_types_need_no_rtpmap():
    agreed = answer(read(audio(types="0")), LOCAL)[1]
    assert (agreed.codec.payload_type, agreed.codec.name) == (0, "PCMU")
    assert agreed.events is None


def test_a_dynamic_payload_type_of_g711_is_kept():
    offered = read(audio("a=rtpmap:97 pcmu/8000/1", types="97"))
    assert b"m=audio 20000 RTP/AVP 97\r\n" in answer(offered, LOCAL)[0]


def test_telephone_event_of_another_rate_is_not_taken_for_ours():
    lines = ("a=rtpmap:96 telephone-event/48000", "a=rtpmap:97 telephone-event/8000")
    assert read(audio(*lines, types="0 96 97")).events == 97
    assert read(audio(lines[0], types="0 96")).events is None


@pytest.mark.parametrize(
    ("lines", "ptime_ms"),
    [
        ([], 20),
        (["a=ptime:60"], 60),
        (["a=ptime:10"], 10),
        (["a=ptime:200"], 60),
        (["a=ptime:40", "a=maxptime:30"], 30),
        (["a=ptime:20.0"], 20),
        (["a=ptime:0"], 20),
        (["a=ptime:often"], 20),
        (["a=ptime:"], 20),
        (["a=maxptime:5"], 10),
    ],
)
def test_packet_times_that_peers_write(lines, ptime_ms):
    assert read(audio(*lines)).ptime_ms == ptime_ms


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("sendrecv", Direction.SENDRECV),
        ("sendonly", Direction.RECVONLY),
        ("recvonly", Direction.SENDONLY),
        ("inactive", Direction.INACTIVE),
    ],
)
def test_hold_and_resume_are_mirrored(theirs, ours):
    body, agreed = answer(read(audio(f"a={theirs}")), LOCAL)
    assert agreed.direction is ours
    assert agreed.held is (theirs != "sendrecv")
    assert f"a={ours.value}\r\n".encode() in body


def test_hold_by_address_zero_gets_nothing_sent():
    offered = read(audio(session="c=IN IP4 0.0.0.0"))
    assert answer(offered, LOCAL)[1].direction is Direction.RECVONLY


def test_a_direction_of_the_session_holds_for_its_stream():
    assert read(audio(session="c=IN IP4 192.0.2.4\na=inactive")).direction is Direction.INACTIVE


def test_our_own_hold_narrows_what_they_offer():
    agreed = answer(read(audio()), LOCAL, way=Direction.SENDONLY)[1]
    assert agreed.direction is Direction.SENDONLY


def test_video_and_a_second_audio_are_refused_in_their_places():
    text = (
        PBX.replace("m=audio", "m=video 4002 RTP/AVP 96 97\nm=audio") + "m=audio 5000 RTP/AVP 0\n"
    )
    lines = answer(read(sdp(text)), LOCAL)[0].decode().split("\r\n")
    assert [line for line in lines if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 96 97",
        "m=audio 20000 RTP/AVP 8 101",
        "m=audio 0 RTP/AVP 0",
    ]


def test_srtp_alone_is_refused_with_what_to_do():
    with pytest.raises(NotAcceptable, match="SRTP"):
        read(sdp(PBX.replace("RTP/AVP", "RTP/SAVP")))


def test_srtp_beside_plain_rtp_is_passed_over():
    text = PBX.replace("m=audio", "m=audio 9000 RTP/SAVP 0\nm=audio")
    assert read(sdp(text)).place == 1


def test_rtcp_elsewhere_and_on_the_same_port():
    assert read(audio("a=rtcp:5555 IN IP4 192.0.2.4")).rtcp_port == 5555
    muxed = read(audio("a=rtcp-mux", "a=rtcp:5555"))
    assert (muxed.rtcp_port, muxed.mux) == (4000, True)
    assert b"a=rtcp-mux\r\n" in answer(muxed, LOCAL)[0]


def test_a_late_offer_is_accepted():
    ours = offer(LOCAL)
    agreed = accept(ours, read(audio("a=rtpmap:96 telephone-event/8000", types="8 96")))
    assert agreed.codec.name == "PCMA"
    assert agreed.events == 96
    assert agreed.events_in == {96, 101}


def test_an_answer_outside_our_offer_is_refused():
    with pytest.raises(NotAcceptable):
        accept(offer(LOCAL, ["PCMU"]), read(audio(types="8")))


def test_ip_version_6():
    session = "c=IN IP6 2001:db8::4"
    agreed = answer(read(audio(session=session)), Local("2001:db8::7", 20_000))
    assert agreed[1].address == "2001:db8::4"
    assert b"c=IN IP6 2001:db8::7\r\n" in agreed[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"v=1\r\n",
        b"v=0\r\nnonsense\r\n",
        b"v=0\r\nm=audio\r\n",
        b"v=0\r\nm=audio 99999 RTP/AVP 0\r\n",
        b"v=0\r\nm=audio -1 RTP/AVP 0\r\n",
        b"v=0\r\nm=audio 4000 RTP/AVP zero\r\n",
        b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n",  # no c=
        b"v=0\r\nc=IN IP4 host.example\r\nm=audio 4000 RTP/AVP 0\r\n",
        b"v=0\r\nc=IN IP4 224.2.1.1\r\nm=audio 4000 RTP/AVP 0\r\n",
        b"v=0\r\nc=IN IP6 192.0.2.4\r\nm=audio 4000 RTP/AVP 0\r\n",
        b"v=0\r\nc=IN IP4 192.0.2.4\r\nm=audio 4000 RTP/AVP 0\r\na=rtcp:70000\r\n",
        b"v=0\r\na=x\ry\r\n",
        b"v=0\r\n" + b"a=x\r\n" * 600,
        b"v=0\r\n" + b"a=" + b"x" * 20_000,
    ],
)
def test_what_is_no_session_description_is_said_to_be_none(body):
    with pytest.raises(BadSdp):
        read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"v=0\r\n",
        audio(types="9 18 101"),
        sdp(PBX.replace("11436", "0")),
        sdp(PBX.replace("m=audio", "m=video")),
    ],
)
def test_a_description_without_what_we_can_carry(body):
    with pytest.raises(NotAcceptable):
        read(body)


LINES = st.lists(
    st.sampled_from(PBX.split("\n"))
    | st.text(st.characters(codec="utf-8"), max_size=30)
    | st.builds(
        "{}={}".format, st.sampled_from("vosctmab"), st.text("0123456789 :/aIN", max_size=20)
    ),
    max_size=20,
)


@given(LINES)
def test_any_text_is_read_or_refused_and_answered_without_another_error(lines):
    try:
        offered = read("\r\n".join(["v=0", *lines]).encode())
    except (BadSdp, NotAcceptable):
        return
    body, agreed = answer(offered, LOCAL)
    assert read(body).port == 20_000
    assert 10 <= agreed.ptime_ms <= 60


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(body):
    with contextlib.suppress(BadSdp, NotAcceptable):
        read(body)
