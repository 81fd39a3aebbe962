"""Which vendors are simulated: the prefix of their paths, and the file that speaks their wire.

The prefix is what ``<VENDOR>_BASE_URL`` ends in: http://127.0.0.1:8090/deepgram.
"""

from __future__ import annotations

# prefix → a function (simulator) → its routes, whose paths begin with /prefix
VENDORS: dict[str, str] = {
    "amazon-transcribe": "telebot.simulate.transcribe:routes",
    "anthropic": "telebot.simulate.anthropic:routes",
    "assemblyai": "telebot.simulate.assemblyai:routes",
    "azure": "telebot.simulate.azure:routes",
    "cartesia": "telebot.simulate.cartesia:routes",
    "deepgram": "telebot.simulate.deepgram:routes",
    "elevenlabs": "telebot.simulate.elevenlabs:routes",
    "gemini": "telebot.simulate.gemini:routes",
    "gladia": "telebot.simulate.gladia:routes",
    "google": "telebot.simulate.google:routes",
    "groq": "telebot.simulate.groq:routes",
    "ibm-watson": "telebot.simulate.ibm:routes",
    "murf": "telebot.simulate.murf:routes",
    "openai": "telebot.simulate.openai:routes",
    "piper": "telebot.simulate.piper:routes",
    "polly": "telebot.simulate.polly:routes",
    "resemble": "telebot.simulate.resemble:routes",
    "rev-ai": "telebot.simulate.rev:routes",
    "rime": "telebot.simulate.rime:routes",
    "soniox": "telebot.simulate.soniox:routes",
    "speechify": "telebot.simulate.speechify:routes",
    "speechmatics": "telebot.simulate.speechmatics:routes",
}

# what a vendor's own API has between its host and the paths that its SDK adds
BASE_PATHS = {"groq": "/openai/v1", "openai": "/v1", "speechmatics": "/v2"}

# variables that some vendors want beside <VENDOR>_BASE_URL and <VENDOR>_API_KEY; any value will do
WANTED_TOO = {
    "amazon-transcribe": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "google": ("GOOGLE_CLOUD_PROJECT",),
    "resemble": ("RESEMBLE_VOICE",),
    "polly": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
}


# vendors whose wire wants a port of its own → a function (simulator, host) → its port, and what
# ends it
OWN_PORTS = {"google": "telebot.simulate.google:serve"}


def variables(vendor: str, url: str, key: str = "simulated") -> dict[str, str]:
    """``<VENDOR>_BASE_URL`` and ``<VENDOR>_API_KEY`` of one vendor, and what else it wants, for a
    simulator at `url`, which is its own where it has a port of its own."""
    name = vendor.partition("-")[0].upper()
    base = url if vendor in OWN_PORTS else f"{url}/{vendor}{BASE_PATHS.get(vendor, '')}"
    too = dict.fromkeys(WANTED_TOO.get(vendor, ()), key)
    return {f"{name}_BASE_URL": base, f"{name}_API_KEY": key, **too}


def environ(url: str, key: str = "simulated") -> dict[str, str]:
    """The variables of every vendor."""
    found: dict[str, str] = {}
    for vendor in VENDORS:
        found |= variables(vendor, url, key)
    return found
