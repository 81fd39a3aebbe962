"""`target: "vendor"`: the first vendor that gives a credential for its own realtime endpoint.

The owner's stored keys go before the house's, as for all voice work; breakers and attempts are
those of everything else. Nothing is billed for a credential: what is said with it is between the
client and the vendor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telebot.call.errors import ApiError, ProviderConfigError
from telebot.providers import registry
from telebot.providers.clips import ClipFailed
from telebot.providers.credentials import Credential, Wanted
from telebot.voice.routing import Keys, KeySource
from telebot.voice.sessions import SessionRequest


@dataclass(frozen=True, slots=True)
class Given:
    """A credential, and whose it is. `own_key`: made by a key of the request's owner."""

    provider: str
    credential: Credential
    own_key: bool
    attempts: Sequence[Mapping[str, Any]]


async def given(
    request: SessionRequest, keys: Keys, agents: Sequence[Mapping[str, Any]], wanted: Wanted
) -> Given:
    """`agents` are the realtime links of the agent's file, whose options hold for their vendor.
    Raises `ApiError`: nobody is called so (404), or nobody gives one (400, 502)."""
    tried: list[dict[str, Any]] = []
    for name, model in _names(request, agents):
        options = next((dict(each) for each in agents if each.get("service") == name), {})
        options.pop("service", None)
        for source in keys:
            if not source.opens(name, model) or not _may(request, name, model):
                continue
            if not source.permit.opens(name, model):
                tried.append(_told(name, source, "not_allowed", source.permit.told()))
                continue
            if source.permit.monthly_budget is not None and not source.own:
                why = "This key has a budget, and what is said at a vendor's is not counted here"
                tried.append(_told(name, source, "not_allowed", why))
                continue
            try:
                made = await registry.credential(
                    name, options, _for(wanted, model), source.resources
                )
            except ProviderConfigError as error:
                tried.append(_told(name, source, "no_key", str(error)))
            except ClipFailed as failed:
                tried.append(_told(name, source, failed.failure.cause.value, str(failed)))
            else:
                return Given(name, made, source.own, tried)
    told = {"attempts": tried}
    why = f": {tried[0]['message']}" if tried else ""
    keyless = all(each["cause"] in ("no_key", "not_allowed") for each in tried)
    status, code = (400, "no_provider") if keyless else (502, "all_providers_failed")
    raise ApiError(status, code, f"No provider gives a credential{why}.", metadata=told)


def _names(request: SessionRequest, agents: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Providers and models in the order of asking; a model "" is the usual one."""
    known = registry.CREDENTIALS
    wanted = [request.named["realtime"]] if "realtime" in request.named else []
    for name in wanted:
        if name.partition("/")[0] not in known:
            raise ApiError(
                404,
                "model_not_found",
                f"{name!r} gives no credentials; those that do are {', '.join(known)}.",
                "model",
            )
    rest = [*request.provider.order, *request.provider.only]
    if request.provider.allow_fallbacks or not (wanted or rest):
        rest += [str(each.get("service")) for each in agents]
        rest += known
    found: dict[str, tuple[str, str]] = {}
    for name in (*wanted, *rest):
        provider, _, model = name.partition("/")
        if provider in known:
            found.setdefault(provider, (provider, model))
    names = list(found.values())
    return names if request.provider.allow_fallbacks else names[:1]


def _may(request: SessionRequest, name: str, model: str) -> bool:
    asked, names = request.provider, {name, f"{name}/{model}"}
    if asked.data_collection == "deny" or names & set(asked.ignore):
        return False
    return not asked.only or bool(names & set(asked.only))


def _for(wanted: Wanted, model: str) -> Wanted:
    return Wanted(model, wanted.voice, wanted.language, wanted.instructions, wanted.life_s)


def _told(name: str, source: KeySource, cause: str, message: str) -> dict[str, Any]:
    return {"provider": name, "cause": cause, "message": message, "is_byok": source.own}
