"""API tokens for servers that implement OpenAI's API."""

import asyncio

from pydantic import SecretStr

from mediaserver.config.speech_settings import OPENAI
from mediaserver.errors import ConfigError, EngineError
from mediaserver.support.credentials import resolve_secret


async def read_token(setting: SecretStr, key: str) -> str:
    """The API token in a setting, or in the file or environment variable that the setting names; "" for none.

    Each call reads the file or variable anew. `key` is the setting's name, for the error message.

    Raises EngineError if the file or variable cannot be read.
    """
    try:
        return await asyncio.to_thread(resolve_secret, setting, key)
    except ConfigError as error:
        raise EngineError(str(error)) from None


def token_problem(url: str, setting: SecretStr, key: str) -> str:
    """A message if `url` is OpenAI's own server, which requires a token, and no token is set; "" otherwise."""
    if url == OPENAI and not setting.get_secret_value().strip():
        return f"{key}: no token is set, and OpenAI requires one"
    return ""
