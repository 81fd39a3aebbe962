"""Requests to Azure's speech service: where it is, and who asks.

Shared by `azure.py`, `azure_stt.py` and `azure_tts.py`. Hosts and headers:
https://learn.microsoft.com/azure/ai-services/speech-service/rest-text-to-speech and
https://learn.microsoft.com/azure/ai-services/speech-service/rest-speech-to-text-short.
"""

from __future__ import annotations

TTS_PATH = "/cognitiveservices/v1"
VOICES_PATH = "/cognitiveservices/voices/list"
STT_PATH = "/speech/recognition/conversation/cognitiveservices/v1"


def key_headers(key: str) -> dict[str, str]:
    """Who asks; the application's name is demanded of requests for speech."""
    return {"Ocp-Apim-Subscription-Key": key, "User-Agent": "telebot"}
