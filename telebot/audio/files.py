"""Audio files of any usual kind to 16-bit mono PCM, and PCM to files: PyAV, which is FFmpeg.

Blocking: call `decoded` and an `Encoder` of a compressed format off the event loop. Headerless
mu-law and A-law are named by their media type (RFC 3551 section 4.5.14).
https://pyav.basswood-io.com/docs/stable/
"""

from __future__ import annotations

import audioop
import io
from collections.abc import Callable
from fractions import Fraction
from typing import Any, cast

import numpy as np
import soxr

from telebot.audio import g711, wav
from telebot.audio.resample import resample

LEAST_RATE_HZ = 4000
MOST_RATE_HZ = 24_000  # no recogniser hears more; a long recording takes half the memory
CONTAINERS = {  # format → container and codec of FFmpeg, media type
    "mp3": ("mp3", "libmp3lame", "audio/mpeg"),
    "opus": ("ogg", "libopus", "audio/ogg"),
    "flac": ("flac", "flac", "audio/flac"),
    "aac": ("adts", "aac", "audio/aac"),
}
BARE = {"audio/basic": "mulaw", "audio/pcmu": "mulaw", "audio/x-mulaw": "mulaw",
        "audio/pcma": "alaw", "audio/x-alaw": "alaw"}  # fmt: skip
# 16-bit PCM without a header: little-endian as it is answered here, in network order by RFC 2586
RAW = {"audio/pcm": False, "audio/l16": True}
RAW_RATE_HZ = 24_000  # where nothing is said, as OpenAI's `audio/pcm` has it
RAW_RATES_HZ, RAW_CHANNELS = (LEAST_RATE_HZ, 192_000), (1, 8)
FORMATS = ("pcm", "wav", "mulaw", "alaw", *CONTAINERS)
# media types of the formats without a container
PLAIN = {"pcm": "audio/pcm", "wav": "audio/wav", "mulaw": "audio/pcmu", "alaw": "audio/pcma"}
MEDIA_TYPES = (*(media for _, _, media in CONTAINERS.values()), *PLAIN.values())
STEP_BYTES = 1 << 20  # of PCM, by which a recording grows
# Only kinds that are a file by themselves: FFmpeg also takes lists and session descriptions for
# input (concat, HLS, DASH, SDP), which name files and addresses that it then opens.
# https://ffmpeg.org/ffmpeg-formats.html#Format-Options (format_whitelist, protocol_whitelist)
READ = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,gsm,loas,matroska,webm,mov,"
    "mp4,m4a,3gp,mp3,mpeg,mpegts,ogg,rm,tta,voc,w64,wav,wv"
)
ALONE = {"format_whitelist": READ, "protocol_whitelist": "none"}


class NoAudio(ValueError):
    """Bytes in which there is no audio that could be decoded; or too much of it."""


def decoded(
    data: bytes,
    media_type: str = "",
    *,
    longest_s: float,
    grows: Callable[[int], None] = lambda _: None,
) -> tuple[bytes, int]:
    """PCM and its rate in Hz (the file's own, 24 kHz at most) of WAV, MP3, Ogg, Opus, WebM, FLAC,
    MP4 and what else FFmpeg reads of one file (`READ`). Stops decoding beyond `longest_s`. `grows`
    is told of bytes of PCM before there are so many more, and may raise. Raises NoAudio."""
    bare = BARE.get(media_type.partition(";")[0].strip().lower())
    if bare:
        grows(2 * len(data))
        pcm16 = audioop.ulaw2lin(data, 2) if bare == "mulaw" else audioop.alaw2lin(data, 2)
        return _fitting(pcm16, g711.RATE_HZ, longest_s)
    if (found := plain(data)) is not None:
        grows(len(found[0]))
        return _fitting(*found, longest_s)
    if media_type.partition(";")[0].strip().lower() in RAW:
        grows(len(data))
        return _fitting(*_raw(data, media_type), longest_s)
    import av
    import av.error

    try:
        with av.open(io.BytesIO(data), metadata_errors="ignore", options=ALONE) as file:
            return _stream(file, longest_s, grows)
    except (av.error.FFmpegError, ValueError, IndexError, EOFError, OverflowError) as error:
        if isinstance(error, NoAudio):
            raise
        raise NoAudio("no audio that could be decoded") from error


def _raw(data: bytes, media_type: str) -> tuple[bytes, int]:
    """Of ``audio/pcm;rate=16000;channels=2``: one channel of it, at 24 kHz at most."""
    kind, *parameters = (part.strip().lower() for part in media_type.split(";"))
    told = dict(each.partition("=")[::2] for each in parameters)
    rate_hz = _number(told.get("rate", str(RAW_RATE_HZ)), "rate", RAW_RATES_HZ)
    channels = _number(told.get("channels", "1"), "channels", RAW_CHANNELS)
    whole = len(data) // (2 * channels) * 2 * channels
    samples = np.frombuffer(data[:whole], ">i2" if RAW[kind] else "<i2").reshape(-1, channels)
    mono = samples[:, 0] if channels == 1 else samples.mean(axis=1)
    pcm16 = mono.astype("<i2")
    if rate_hz > MOST_RATE_HZ:
        pcm16, rate_hz = soxr.resample(pcm16, rate_hz, MOST_RATE_HZ, "HQ"), MOST_RATE_HZ
    return pcm16.tobytes(), rate_hz


def _number(text: str, name: str, bounds: tuple[int, int]) -> int:
    least, most = bounds
    if not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= most:
        raise NoAudio(f"{name} of headerless PCM: {least} to {most}, not {text[:20]!r}")
    return int(text)


def plain(data: bytes) -> tuple[bytes, int] | None:
    """The PCM of a file that needs no decoding, and its rate in Hz; None of any other. It is a
    copy: quick enough for the event loop where the file is small."""
    found = wav.plain(data)
    return None if found is None or found[1] > MOST_RATE_HZ else found


def _stream(file: Any, longest_s: float, grows: Callable[[int], None]) -> tuple[bytes, int]:
    import av

    if not file.streams.audio:
        raise NoAudio("a file without audio")
    stream = file.streams.audio[0]
    rate_hz = min(int(stream.rate or MOST_RATE_HZ), MOST_RATE_HZ)
    if rate_hz < LEAST_RATE_HZ:
        raise NoAudio(f"a sample rate below {LEAST_RATE_HZ} Hz")
    if _says_s(file) > longest_s:  # a small file may be hours of silence: not even looked at
        raise NoAudio(f"longer than {longest_s:.0f} s")
    to_mono = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
    most, whole = round(longest_s * rate_hz) * 2, io.BytesIO()  # which gives its bytes uncopied
    told = 0
    for frame in file.decode(stream):
        for mono in to_mono.resample(frame):
            whole.write(mono.to_ndarray().tobytes())
        while whole.tell() > told:
            grows(STEP_BYTES)
            told += STEP_BYTES
        if whole.tell() > most:
            raise NoAudio(f"longer than {longest_s:.0f} s")
    for mono in to_mono.resample(None):
        whole.write(mono.to_ndarray().tobytes())
    if not whole.tell():
        raise NoAudio("a file without samples")
    return whole.getvalue(), rate_hz


def _says_s(file: Any) -> float:
    """The length that a file gives itself, where its kind knows it; others guess, or leave the
    most that they can say in the head of a stream."""
    knows = any(kind in file.format.name.split(",") for kind in ("flac", "mp4", "matroska", "ogg"))
    return file.duration / 1e6 if knows and file.duration else 0.0


def _fitting(pcm16: bytes, rate_hz: int, longest_s: float) -> tuple[bytes, int]:
    if not pcm16:
        raise NoAudio("a file without samples")
    if len(pcm16) / 2 / rate_hz > longest_s:
        raise NoAudio(f"longer than {longest_s:.0f} s")
    return pcm16, rate_hz


class Encoder:
    """A stream of PCM at `rate_hz` to a file of `kind` (one of `FORMATS`), piece by piece.

    WAV's length is not known when it begins: its header says the most it can, as streaming
    servers do, unless `pcm_bytes` is given."""

    def __init__(
        self, kind: str, rate_hz: int, *, to_hz: int | None = None, pcm_bytes: int | None = None
    ) -> None:
        """`to_hz`: the rate of the file, where it is not the usual one. Raises NoAudio on a kind
        that is none."""
        if kind not in FORMATS:
            raise NoAudio(f"no format {kind!r}")
        self._kind = kind
        self.rate_hz = (
            g711.RATE_HZ if kind in ("mulaw", "alaw") else _rate_for(kind, to_hz or rate_hz)
        )
        self._converter = (
            None
            if self.rate_hz == rate_hz
            else soxr.ResampleStream(rate_hz, self.rate_hz, 1, "int16", "HQ")
        )
        self._begun = False
        self._pcm_bytes = pcm_bytes
        self._writer = _Writer(*CONTAINERS[kind][:2], self.rate_hz) if kind in CONTAINERS else None

    @property
    def media_type(self) -> str:
        """Of the whole, with the rate where the bytes do not tell it."""
        if self._kind in CONTAINERS:
            return CONTAINERS[self._kind][2]
        plain = PLAIN[self._kind]
        return f"{plain};rate={self.rate_hz};channels=1" if self._kind == "pcm" else plain

    def feed(self, pcm16: bytes) -> bytes:
        """Whole samples in, bytes of the file out (maybe none yet)."""
        if self._converter is not None:
            pcm16 = _converted(self._converter, pcm16)
        if not pcm16:
            return b""
        return self._coded(pcm16)

    def _coded(self, pcm16: bytes) -> bytes:
        head = b"" if self._begun else self._head()
        self._begun = True
        match self._kind:
            case "mulaw":
                return g711.encode(pcm16)
            case "alaw":
                return audioop.lin2alaw(pcm16, 2)
        return head + (pcm16 if self._writer is None else self._writer.feed(pcm16))

    def finish(self) -> bytes:
        """What is left."""
        rest = b""
        if self._converter is not None and (last := _converted(self._converter, b"", last=True)):
            rest = self._coded(last)
        head = b"" if self._begun else self._head()
        return rest + head + (self._writer.finish() if self._writer is not None else b"")

    def _head(self) -> bytes:
        if self._kind != "wav":
            return b""
        size = wav.MOST_SIZE - wav.USUAL_HEAD if self._pcm_bytes is None else self._pcm_bytes
        return wav.head(size, self.rate_hz)


def whole_file(
    pcm16: bytes, from_hz: int, kind: str, rate_hz: int | None = None
) -> tuple[bytes, Encoder]:
    """A file of all of a sound, whose length it tells, and what coded it."""
    rate_hz = rate_hz or from_hz
    pcm16 = resample(pcm16, from_hz, rate_hz)
    encoder = Encoder(kind, rate_hz, pcm_bytes=len(pcm16))
    return encoder.feed(pcm16) + encoder.finish(), encoder


class Unchanged:
    """In the place of an `Encoder`, for a file that comes as it is wanted."""

    def __init__(self, kind: str, rate_hz: int) -> None:
        """`kind` is one of `CONTAINERS`."""
        self.media_type = CONTAINERS[kind][2]
        self.rate_hz = rate_hz

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


class _Sink:
    """Where FFmpeg writes; it cannot go back in it, so it does not try."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def taken(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


class _Writer:
    """A codec and its container, emptied after each piece."""

    def __init__(self, container: str, codec: str, rate_hz: int) -> None:
        import av

        self._sink = _Sink()
        self._file: Any = av.open(self._sink, "w", format=container)
        self._stream = cast(Any, self._file.add_stream(codec, rate=rate_hz))
        self._stream.layout = "mono"
        self._rate_hz = rate_hz
        self._at = 0

    def feed(self, pcm16: bytes) -> bytes:
        """Whole samples in, what the codec gives for them out."""
        import av

        samples = np.frombuffer(pcm16, np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = self._rate_hz
        frame.pts, frame.time_base = self._at, Fraction(1, self._rate_hz)
        self._at += samples.shape[1]
        self._file.mux(self._stream.encode(frame))
        return self._sink.taken()

    def finish(self) -> bytes:
        """The codec's rest and the container's end."""
        self._file.mux(self._stream.encode(None))
        self._file.close()
        return self._sink.taken()


def _converted(stream: soxr.ResampleStream, pcm16: bytes, *, last: bool = False) -> bytes:
    return bytes(stream.resample_chunk(np.frombuffer(pcm16, np.int16), last=last).tobytes())


def _rate_for(kind: str, rate_hz: int) -> int:
    """Opus knows five rates (RFC 6716 section 2), MP3 nine; the next one that loses nothing."""
    known = {"opus": (8000, 12000, 16000, 24000, 48000)}.get(
        kind, (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
    )
    if kind in ("pcm", "wav", "flac"):
        return rate_hz
    return next((each for each in known if each >= rate_hz), known[-1])
