"""The base of what `/v1` takes and answers: a model whose validator is built when it is first used.

There are over a hundred of them, and no call needs one: built at every start they took a fifth of a
second. Whoever asks first for one of them waits for milliseconds.
https://docs.pydantic.dev/latest/api/config/#pydantic.config.ConfigDict.defer_build
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class LazyModel(BaseModel):
    """Configurations of its own come on top."""

    model_config = ConfigDict(defer_build=True)
