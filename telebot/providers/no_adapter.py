"""What Pipecat wants of every language model, for those of ours that ask no vendor.

A service turns a context into its vendor's request by an adapter. Without one of its own it gets
OpenAI's, and with that OpenAI's SDK is imported: half a second of every start.
"""

from __future__ import annotations

from typing import Any

from pipecat.adapters.llm.base_llm_adapter import BaseLLMAdapter
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.processors.aggregators.llm_context import LLMContext


class NoAdapter(BaseLLMAdapter[dict[str, Any]]):  # type: ignore[no-untyped-call]
    """The context as it is: there is nobody to send it to."""

    @property
    def id_for_llm_specific_messages(self) -> str:
        return "telebot"

    async def get_llm_invocation_params(self, context: LLMContext, **kwargs: Any) -> dict[str, Any]:
        return {"messages": context.get_messages()}

    def to_provider_tools_format(self, tools_schema: ToolsSchema) -> list[Any]:
        return []

    def get_messages_for_logging(self, context: LLMContext) -> list[dict[str, Any]]:
        return [dict(each) for each in context.get_messages() if isinstance(each, dict)]
