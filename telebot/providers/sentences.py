"""Texts in the sentences in which a chain says them."""

from __future__ import annotations

from collections.abc import Iterable

from pipecat.utils.text.simple_text_aggregator import SimpleTextAggregator


async def sentences(texts: Iterable[str]) -> list[str]:
    """The sentences of each text, as `chain_tts.py` would cut it, with single spaces."""
    found: list[str] = []
    for text in texts:
        cutter = SimpleTextAggregator()  # type: ignore[no-untyped-call]
        found += [sentence.text async for sentence in cutter.aggregate(text)]
        if last := await cutter.flush():
            found.append(last.text)
    return _spaced(found)


class Cutter:
    """Cuts one text into such sentences while it grows."""

    def __init__(self) -> None:
        self._cutter = SimpleTextAggregator()  # type: ignore[no-untyped-call]

    async def feed(self, piece: str) -> list[str]:
        """More of the text in, the sentences that are over out."""
        return _spaced([found.text async for found in self._cutter.aggregate(piece)])

    async def finish(self) -> list[str]:
        """The last one, if there is any left."""
        last = await self._cutter.flush()
        return _spaced([last.text] if last else [])


def _spaced(texts: list[str]) -> list[str]:
    return [" ".join(text.split()) for text in texts if text.strip()]
