"""When each word of a text is said in somebody else's audio of it.

A voice that times its words says so itself. For one that does not, the local voice says the same
text, with known word times, and the two are laid over each other by dynamic time warping of their
cepstra (Sakoe and Chiba 1978, doi:10.1109/TASSP.1978.1163055), the beginning of the other audio
fixed and its end free: so audio that broke off is placed as well. Pure; some 5 ms a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from telebot.providers.spoken import Word
from telebot.providers.voicing import Floats

RATE_HZ = 8000
HOP_S = 0.02
FRAME = 256
BANDS = 24
CEPSTRA = 13
LONGEST_S = 40.0
SILENT_DB = -60.0
CLEARLY = (
    0.75  # of the cost: whole sentences of faster voices stayed above 0.84, cut ones below 0.6
)
STRETCH = 0.05  # what a step that is not diagonal costs, so that silence is not stretched for free


def place_words(
    audio: Floats, reference: Floats, words: Sequence[Word], *, whole: bool
) -> tuple[Word, ...]:
    """`words`, whose times are those of `reference`, with their times in `audio`.

    Both are mono at 8 kHz in [-1, 1). `whole`: `audio` is the whole text; else it may end anywhere,
    and words that it does not reach get times behind its end. Words keep their order.
    """
    ours, theirs = features(reference), features(audio)
    if not len(ours) or not len(theirs):
        return ()
    path = _path(ours, theirs, whole)
    reached_s = path[-1][0] * HOP_S
    moments = np.full(len(ours) + 1, np.nan)
    for mine, other in path:
        moments[mine] = other  # the last frame of theirs that goes with this one of ours
    length_s = len(audio) / RATE_HZ

    def moved(at_s: float) -> float:
        if at_s > reached_s + HOP_S:
            return length_s + (at_s - reached_s)
        frame = min(int(at_s / HOP_S), len(ours) - 1)
        while frame > 0 and np.isnan(moments[frame]):
            frame -= 1
        return 0.0 if np.isnan(moments[frame]) else float(moments[frame]) * HOP_S

    return tuple(Word(moved(word.start_s), moved(word.end_s), word.text) for word in words)


def stops_early(audio: Floats, reference: Floats) -> bool:
    """`audio` is clearly more like a beginning of `reference` than like all of it, said faster.
    A voice that is very unlike the reference's is like neither: False."""
    ours, theirs = features(reference), features(audio)
    if not len(ours) or not len(theirs):
        return False
    steps = _by_the_step(_costs(_distances(ours, theirs)), len(ours), len(theirs))
    return bool(steps.min() < CLEARLY * steps[-1])


def features(audio: Floats) -> NDArray[np.float32]:
    """Mel cepstra, one row every 20 ms, each column with mean 0 and variance 1."""
    audio = audio[: round(LONGEST_S * RATE_HZ)]
    if len(audio) < FRAME:
        return np.zeros((0, CEPSTRA), np.float32)
    hop = round(HOP_S * RATE_HZ)
    frames = np.lib.stride_tricks.sliding_window_view(audio, FRAME)[::hop] * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    bands = 10 * np.log10(power @ _MEL + 10 ** (SILENT_DB / 10))
    found: NDArray[np.float32] = (bands @ _COSINES).astype(np.float32)
    spread = found.std(axis=0)
    return np.asarray((found - found.mean(axis=0)) / np.maximum(spread, 1e-6), np.float32)


def _path(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], whole: bool
) -> list[tuple[int, int]]:
    """The cheapest way through both, as pairs of frames, from their beginnings."""
    rows, columns = len(ours), len(theirs)
    cost = _costs(_distances(ours, theirs))
    if whole:
        at = (rows, columns)
    else:  # all of theirs, and as much of ours as fits best, by the cost of a step
        at = (int(_by_the_step(cost, rows, columns).argmin()) + 1, columns)
    path = []
    while at != (0, 0):
        i_, j_ = at
        path.append((i_ - 1, j_ - 1))
        total = i_ + j_
        down, right = cost.item(total - 1, i_ - 1), cost.item(total - 1, i_)
        if cost.item(total - 2, i_ - 1) <= min(down, right) + STRETCH:
            at = (i_ - 1, j_ - 1)
        else:
            at = (i_ - 1, j_) if down <= right else (i_, j_ - 1)
    return path[::-1]


def _by_the_step(cost: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """What a step costs on the cheapest way through all of theirs and each beginning of ours."""
    i = np.arange(1, rows + 1)
    return np.asarray(cost[i + columns, i] / (i + columns), np.float32)


def _distances(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float32]:
    """How unlike two frames are, ``[i + j, i]``: a diagonal lies in one row; infinite elsewhere."""
    rows, columns = len(ours), len(theirs)
    squares = (ours**2).sum(1)[:, None] + (theirs**2).sum(1)[None, :] - 2 * ours @ theirs.T
    slanted = np.full((rows, rows + columns), np.inf, np.float32)
    down, right = slanted.strides
    by_frame = np.lib.stride_tricks.as_strided(slanted, (rows, columns), (down + right, right))
    by_frame[:] = np.sqrt(np.maximum(squares, 0.0) / CEPSTRA)
    return np.ascontiguousarray(slanted.T)


def _costs(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cost of the cheapest way to each pair, ``[i + j, i]``, both counted from one: row by
    row, since the cells of a diagonal do not depend on each other."""
    totals, rows = distance.shape
    cost = np.full((totals + 1, rows + 1), np.inf, np.float32)
    cost[0, 0] = 0.0
    straight = np.empty(rows, np.float32)
    for total in range(2, totals + 1):
        before, here = cost[total - 1], cost[total, 1:]
        np.minimum(before[:-1], before[1:], out=straight)
        np.add(straight, STRETCH, out=straight)  # silence is not stretched for free
        np.minimum(straight, cost[total - 2, :-1], out=straight)
        np.add(straight, distance[total - 2], out=here)
    return cost


def _mel() -> NDArray[np.float64]:
    """Triangles on the mel scale, 100 to 3,800 Hz."""
    mel = np.linspace(_to_mel(100.0), _to_mel(3800.0), BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(FRAME, 1 / RATE_HZ)
    up = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(up, down))


def _to_mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _cosines() -> NDArray[np.float64]:
    """The first cepstra of a band spectrum (DCT-II)."""
    band = np.arange(BANDS)[:, None] + 0.5
    return np.asarray(np.cos(np.pi / BANDS * band * np.arange(CEPSTRA)[None, :]), np.float64)


_MEL = _mel()
_COSINES = _cosines()
