"""Audio files of every usual kind, both ways."""

from __future__ import annotations

import contextlib
import io

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.audio import files, wav
from telebot.audio.files import FORMATS, Encoder, NoAudio, decoded
from telebot.audio.levels import level_dbfs

pytestmark = pytest.mark.unit

HZ = 24_000
TIMES = np.arange(2 * HZ) / HZ
TONE = (np.sin(2 * np.pi * 440 * TIMES) * 9000).astype("<i2").tobytes()


def encoded(kind: str, piece: int = 9600) -> tuple[bytes, str, int]:
    encoder = Encoder(kind, HZ)
    data = b"".join(encoder.feed(TONE[at : at + piece]) for at in range(0, len(TONE), piece))
    return data + encoder.finish(), encoder.media_type, encoder.rate_hz


@pytest.mark.parametrize("piece", [2, 9600, len(TONE)])
@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "pcm"])
def test_what_is_written_is_read_again(kind, piece):
    if piece == 2 and kind != "mulaw":
        piece = 480
    data, media_type, _ = encoded(kind, piece)
    pcm16, rate_hz = decoded(data, media_type, longest_s=10)
    samples = np.frombuffer(pcm16, np.int16).astype(float)
    assert len(samples) / rate_hz == pytest.approx(2.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * rate_hz / len(samples) == pytest.approx(440, abs=2)
    assert level_dbfs(pcm16) == pytest.approx(level_dbfs(TONE), abs=1.0)


def test_pcm_stays_what_it_is():
    data, media_type, rate_hz = encoded("pcm")
    assert (data, rate_hz) == (TONE, HZ)
    assert media_type == "audio/pcm;rate=24000;channels=1"


def test_the_first_bytes_come_with_the_first_piece():
    for kind in ("pcm", "wav", "mulaw", "mp3", "flac"):
        encoder = Encoder(kind, HZ)
        assert encoder.feed(TONE[:19200]), kind


def test_a_wav_whose_length_is_known_says_so():
    encoder = Encoder("wav", HZ, pcm_bytes=len(TONE))
    assert wav.read(encoder.feed(TONE) + encoder.finish()) == (TONE, HZ)


def test_two_channels_become_one():
    left = np.frombuffer(TONE, np.int16)
    both = np.stack([left, np.zeros_like(left)], axis=1).astype("<i2").tobytes()
    data = wav.written(both, HZ)
    stereo = data[:22] + (2).to_bytes(2, "little") + data[24:28]
    stereo += (4 * HZ).to_bytes(4, "little") + (4).to_bytes(2, "little") + data[34:]
    pcm16, rate_hz = decoded(stereo, longest_s=10)
    assert rate_hz == HZ
    assert len(pcm16) == len(TONE)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [(b"", ""), (b"no audio at all", ""), (b"", "audio/pcmu"), (wav.written(b"", HZ), "")],
)
def test_what_is_no_audio_is_refused(data, media_type):
    with pytest.raises(NoAudio):
        decoded(data, media_type, longest_s=10)


@pytest.mark.parametrize(
    ("kind", "media_type"), [("wav", ""), ("mp3", ""), ("mulaw", "audio/pcmu")]
)
def test_what_is_too_long_is_not_decoded_to_its_end(kind, media_type):
    data, _, _ = encoded(kind)
    with pytest.raises(NoAudio, match="longer than 1 s"):
        decoded(data, media_type, longest_s=1)


def test_a_kind_that_is_none_is_refused():
    with pytest.raises(NoAudio):
        Encoder("midi", HZ)


@given(st.binary(max_size=400), st.sampled_from(["", "audio/ogg", "audio/pcma"]))
def test_no_bytes_raise_anything_else(data, media_type):
    with contextlib.suppress(NoAudio):
        decoded(data, media_type, longest_s=1)


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile beside.wav\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nbeside.wav\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    ],
    ids=["concat", "hls", "sdp"],
)
def test_a_file_that_names_others_opens_none(text, tmp_path, monkeypatch):
    """FFmpeg takes such lists for input: files of the server would be heard, ports opened."""
    encoder = Encoder("wav", 8000, pcm_bytes=16000)
    (tmp_path / "beside.wav").write_bytes(encoder.feed(bytes(16000)) + encoder.finish())
    monkeypatch.chdir(tmp_path)
    assert decoded((tmp_path / "beside.wav").read_bytes(), longest_s=9) == (
        bytes(16000),
        8000,
    )
    with pytest.raises(NoAudio, match="could be decoded"):
        decoded(text.encode(), longest_s=9)


@pytest.mark.parametrize("rate_hz", [1, 100, 3999])
def test_a_rate_at_which_nothing_can_be_heard_is_refused(rate_hz):
    encoder = Encoder("wav", rate_hz, pcm_bytes=800)
    with pytest.raises(NoAudio, match="sample rate"):
        decoded(encoder.feed(bytes(800)) + encoder.finish(), longest_s=999)


def test_hours_in_a_small_file_are_refused_by_what_it_says_of_itself(monkeypatch):
    minute, sink = np.zeros((1, 60 * 8000), np.int16), io.BytesIO()
    with av.open(sink, "w", format="flac") as file:
        stream = file.add_stream("flac", rate=8000)
        stream.layout = "mono"
        for _ in range(120):
            frame = av.AudioFrame.from_ndarray(minute, format="s16", layout="mono")
            frame.sample_rate = 8000
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    bomb = sink.getvalue()
    assert len(bomb) < 2 << 20  # of 115 MB
    monkeypatch.setattr(av, "AudioResampler", None)  # nothing is decoded
    with pytest.raises(NoAudio, match="longer than 3600 s"):
        decoded(bomb, longest_s=3600)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "pcm"])
def test_what_a_recording_takes_is_told_before_it_takes_more(kind, monkeypatch):
    monkeypatch.setattr(files, "STEP_BYTES", 4096)
    data, media_type, _ = encoded(kind)
    told: list[int] = []
    pcm16, _ = decoded(data, media_type, longest_s=10, grows=told.append)
    assert len(pcm16) <= sum(told) <= len(pcm16) + 2 * 48_000

    class Full(Exception):
        pass

    def full(size: int) -> None:
        raise Full

    with pytest.raises(Full):
        decoded(data, media_type, longest_s=10, grows=full)


@pytest.mark.parametrize(
    ("media_type", "rate_hz", "channels", "order"),
    [
        ("audio/pcm;rate=16000", 16_000, 1, "<i2"),
        ("audio/pcm; rate=16000; channels=2", 16_000, 2, "<i2"),
        ("audio/pcm", 24_000, 1, "<i2"),
        ("audio/L16;rate=8000", 8000, 1, ">i2"),
        ("audio/pcm;rate=48000", 24_000, 1, "<i2"),
    ],
)
def test_pcm_without_a_header_is_what_its_media_type_says(media_type, rate_hz, channels, order):
    samples = np.arange(-2000, 2000, dtype=np.int16)
    sent = np.repeat(samples, channels).astype(order).tobytes()
    pcm16, found_hz = decoded(sent + b"\x01", media_type, longest_s=10)
    assert found_hz == rate_hz
    if "48000" in media_type:
        assert len(pcm16) == pytest.approx(len(sent) / 2, rel=0.01)
    else:
        assert pcm16 == samples.tobytes()


@pytest.mark.parametrize("told", ["rate=fast", "rate=10", "rate=99999999999", "channels=0"])
def test_pcm_whose_media_type_means_nothing_is_refused(told):
    with pytest.raises(NoAudio, match="headerless"):
        decoded(bytes(100), f"audio/pcm;{told}", longest_s=10)
