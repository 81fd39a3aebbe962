"""Language tags as vendors want them: the language alone, or with its usual country (``en`` is
``en-US`` to them)."""

from __future__ import annotations

COUNTRIES = {
    "af": "ZA", "am": "ET", "ar": "EG", "bn": "IN", "ca": "ES", "cs": "CZ", "cy": "GB", "da": "DK",
    "el": "GR", "en": "US", "et": "EE", "eu": "ES", "fa": "IR", "ga": "IE", "gl": "ES", "gu": "IN",
    "he": "IL", "hi": "IN", "hy": "AM", "ja": "JP", "ka": "GE", "kk": "KZ", "km": "KH", "kn": "IN",
    "ko": "KR", "ml": "IN", "mr": "IN", "ms": "MY", "nb": "NO", "ne": "NP", "pa": "IN", "pt": "BR",
    "sl": "SI", "sq": "AL", "sr": "RS", "sv": "SE", "sw": "KE", "ta": "IN", "te": "IN", "uk": "UA",
    "ur": "PK", "vi": "VN", "zh": "CN", "zu": "ZA",
}  # fmt: skip


def primary(tag: str) -> str:
    """The language alone (RFC 5646, section 2.2.1): ``de`` of ``de-AT``."""
    return tag.partition("-")[0].lower()


def locale(tag: str) -> str:
    """The tag where it has a region, else with the language's usual country (``de-DE``)."""
    language, _, rest = tag.replace("_", "-").partition("-")
    language = language.lower()
    return f"{language}-{rest or COUNTRIES.get(language, language.upper())}"
