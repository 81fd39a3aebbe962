"""Requests to Azure's speech service: where it is, and who asks.

Shared by `azure.py`, `azure_stt.py` and `azure_tts.py`. Hosts and headers:
https://learn.microsoft.com/azure/ai-services/speech-service/rest-text-to-speech and
https://learn.microsoft.com/azure/ai-services/speech-service/rest-speech-to-text-short.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

VOICE = "en-US-AvaNeural"
TTS_PATH = "/cognitiveservices/v1"
VOICES_PATH = "/cognitiveservices/voices/list"
STT_PATH = "/speech/recognition/conversation/cognitiveservices/v1"


def key_headers(key: str) -> dict[str, str]:
    """Who asks; the application's name is demanded of requests for speech."""
    return {"Ocp-Apim-Subscription-Key": key, "User-Agent": "telebot"}


def ssml(text: str, voice: str, language: str = "", rate: str = "") -> bytes:
    """`text` for `voice`; `language` "" is the voice's own, `rate` that of SSML's prosody
    (``+10%``)."""
    said = escape(text)
    if rate:
        said = f"<prosody rate={quoteattr(rate)}>{said}</prosody>"
    language = language or "-".join(voice.split("-")[:2])
    return (
        "<speak version='1.0' xmlns='http://www.w3.org/2001/10/synthesis' "
        f"xml:lang={quoteattr(language)}><voice name={quoteattr(voice)}>{said}</voice></speak>"
    ).encode()
