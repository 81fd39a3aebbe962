"""Pipecat's Groq services on the process's own connections (`openai_llm.py`, `openai_files.py`)."""

from __future__ import annotations

from pipecat.services.groq.llm import GroqLLMService
from pipecat.services.groq.stt import GroqSTTService

from telebot.providers.openai_files import AnswersFiles
from telebot.providers.openai_llm import SharedOpenAILLMService


class SharedGroqLLMService(SharedOpenAILLMService, GroqLLMService):
    """Groq's language models."""


class GroqFileSTTService(AnswersFiles, GroqSTTService):
    """Groq's Whisper."""
