"""Google Gemini: language models, and Gemini Live (speech in, speech out).

Pipecat's services on Google's own SDK (https://ai.google.dev/api/generate-content,
https://ai.google.dev/gemini-api/docs/live). The default model is the fastest of today's that is not
on its way out (https://ai.google.dev/gemini-api/docs/models, …/docs/deprecations). Models since 3.5
Flash-Lite refuse a request that ends in the beginning of a reply, and take no temperature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from telebot.providers import vendor
from telebot.providers.probing import get_json, listed
from telebot.providers.resources import Resources

if TYPE_CHECKING:
    from google.genai import Client

VENDOR = "GEMINI"
OTHER_KEY = "GOOGLE_API_KEY"  # what Google's own SDK reads as well
URL = "https://generativelanguage.googleapis.com"
VERSION = "v1beta"
LLM = "telebot.providers.gemini_llm:SharedGoogleLLMService"
MODEL = "gemini-3.5-flash-lite"
LIVE_MODEL = "gemini-3.8-live"
LIVE_VOICE = "Charon"


def keyed(options: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The options with the variable that holds the key: GEMINI_API_KEY, else GOOGLE_API_KEY."""
    if "api_key_env" in options or environ.get(f"{VENDOR}_API_KEY") or not environ.get(OTHER_KEY):
        return dict(options)
    return {**options, "api_key_env": OTHER_KEY}


def build_llm(options: Mapping[str, Any], resources: Resources) -> Any:
    """`llm: gemini`, or `{service: gemini, model: gemini-3.8-flash}`."""
    return build_session(LLM, options, resources, {"model": MODEL})


def build_session(
    path: str, options: Mapping[str, Any], resources: Resources, settings: Mapping[str, Any]
) -> Any:
    """A service on the process's own client for this key."""
    return vendor.named(
        "llm",
        path,
        keyed(options, resources.environ),
        resources.environ,
        vendor=VENDOR,
        settings=settings,
        given={"client": client(options, resources)},
    )


def client(options: Mapping[str, Any], resources: Resources) -> Client:
    """The process's own client of the vendor's SDK for this key. Raises ProviderConfigError."""
    from telebot.providers.gemini_llm import Clients

    options = keyed(options, resources.environ)
    key, url = vendor.access(options, resources.environ, VENDOR, URL)
    clients = resources.kept("gemini clients", lambda: Clients(resources.http()))
    return clients.client(key, url)


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken and the model is there (https://ai.google.dev/api/models)."""
    options = keyed(options, resources.environ)
    key, url = vendor.access(options, resources.environ, VENDOR, URL)
    models = await get_json(
        resources,
        f"{url}/{VERSION}/models?pageSize=1000",
        {"x-goog-api-key": key},
        who="gemini",
        refusals=(400, 401, 403),  # a key that is no key is an invalid argument
    )
    live = kind == "realtime"
    method = "bidiGenerateContent" if live else "generateContent"
    able = [
        str(each.get("name", "")).removeprefix("models/")
        for each in models.get("models", ())
        if method in each.get("supportedGenerationMethods", ())
    ]
    model = str(vendor.chosen(options, "model", LIVE_MODEL if live else MODEL))
    listed("gemini", "model", model.removeprefix("models/"), able)
