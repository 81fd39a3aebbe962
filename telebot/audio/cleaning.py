"""Recordings made better for recognition: loudness, and steady noise taken away. Pure numpy.

The noise is what is there when nobody speaks: of each frequency the level that it rarely falls
below (minimum statistics, R. Martin, IEEE Trans. Speech and Audio Processing 9(5), 2001, in its
simplest form). What does not rise above it is turned down, smoothly, never to nothing. A recording
of hours is cleaned piece by piece: as floating numbers it is many times as large.
"""

from __future__ import annotations

import numpy as np

FRAME_S = 0.032
QUIETEST = 0.15  # of the frames: what a frequency has in them is noise
OVER = 3.0  # noise comes and goes, so far above what it rarely falls below
BINS = np.ones(5, np.float32) / 5  # neighbours are judged together: no lone peak of noise passes
PIECE_S, AROUND_S = 300.0, 1.0  # cleaned at once, and what is heard besides at its ends
FLOOR = 0.12  # -18 dB: what is turned down is still there


def normalised(pcm16: bytes, target_dbfs: float = -20.0, peak_dbfs: float = -1.0) -> bytes:
    """The loudness of its louder parts brought to `target_dbfs` RMS, never clipped: speech at
    -20 dBFS is what recognisers are trained on. Silence stays silence."""
    whole = np.frombuffer(pcm16, np.int16)
    if not len(whole):
        return pcm16
    step = min(800, len(whole))
    pieces = [slice(at, at + step * 1000) for at in range(0, len(whole), step * 1000)]
    levels, peak = [], 0.0
    for piece in pieces:
        samples = whole[piece].astype(np.float32) / 32768
        peak = max(peak, float(np.abs(samples).max()))
        blocks = samples[: len(samples) // step * step].reshape(-1, step)
        levels.append(np.sqrt((blocks**2).mean(axis=1)))
    rms = np.concatenate(levels)
    loud = rms[rms >= np.quantile(rms, 0.7)].mean()
    if loud < 1e-4:
        return pcm16
    gain = np.float32(min(10 ** (target_dbfs / 20) / loud, 10 ** (peak_dbfs / 20) / peak))
    out = np.empty(len(whole), "<i2")
    for piece in pieces:
        samples = whole[piece].astype(np.float32) / 32768
        out[piece] = np.clip(samples * gain, -1, 1) * 32767
    return out.tobytes()


def denoised(pcm16: bytes, rate_hz: int) -> bytes:
    """The recording with its steady noise turned down; as long as before."""
    whole = np.frombuffer(pcm16, np.int16)
    size, around = round(PIECE_S * rate_hz), round(AROUND_S * rate_hz)
    out = np.empty(len(whole), "<i2")
    for at in range(0, len(whole), size):
        begin = max(0, at - around)
        clean = _denoised(whole[begin : at + size + around], rate_hz)
        out[at : at + size] = clean[at - begin :][:size]
    return out.tobytes()


def _denoised(piece: np.ndarray, rate_hz: int) -> np.ndarray:
    frame = 1 << (round(FRAME_S * rate_hz) - 1).bit_length()
    if len(piece) < 8 * frame:
        return piece
    samples = piece.astype(np.float32)
    hop = frame // 2
    window = np.sqrt(np.hanning(frame + 1)[:frame]).astype(np.float32)
    padded = np.pad(samples, (frame, frame + hop))
    out = np.zeros_like(padded)
    noise = _noise(padded, frame, hop, window)
    gain = np.ones(frame // 2 + 1, np.float32)
    for at in range(0, len(padded) - frame, hop):
        spectrum = np.fft.rfft(padded[at : at + frame] * window)
        power = np.convolve(np.abs(spectrum) ** 2, BINS, "same")
        wanted = np.sqrt(np.maximum(FLOOR**2, 1 - OVER * noise / np.maximum(power, 1e-9)))
        gain = np.maximum(wanted, 0.5 * gain + 0.5 * wanted)  # rises at once, falls slowly
        out[at : at + frame] += np.fft.irfft(spectrum * gain, frame) * window
    return np.clip(out[frame : frame + len(samples)], -32768, 32767)


def _noise(padded: np.ndarray, frame: int, hop: int, window: np.ndarray) -> np.ndarray:
    """Power of each frequency in the quietest frames; a thousand of them tell enough."""
    starts = np.arange(frame, len(padded) - 2 * frame, hop)
    if len(starts) > 1000:
        starts = starts[:: len(starts) // 1000 + 1]
    powers = [np.abs(np.fft.rfft(padded[at : at + frame] * window)) ** 2 for at in starts]
    smooth = np.stack([np.convolve(power, BINS, "same") for power in powers])
    return np.asarray(np.quantile(smooth, QUIETEST, axis=0))
