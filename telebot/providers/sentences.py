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
    return [" ".join(sentence.split()) for sentence in found if sentence.strip()]
