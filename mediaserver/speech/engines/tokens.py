"""Tokens for servers that speak OpenAI's API."""

import asyncio

from pydantic import SecretStr

from mediaserver.config.speech_settings import OPENAI
from mediaserver.errors import ConfigError, EngineError
from mediaserver.support.credentials import reveal


async def token_of(setting: SecretStr, key: str) -> str:
    """The token that a setting holds or names now, "" for none; EngineError where it is not there any more."""
    try:
        return await asyncio.to_thread(reveal, setting, key)
    except ConfigError as error:
        raise EngineError(str(error)) from None


def lacking_token(url: str, setting: SecretStr, key: str) -> str:
    """That OpenAI's own server is asked without a token, if so."""
    if url == OPENAI and not setting.get_secret_value().strip():
        return f"{key}: there is none, which OpenAI asks for"
    return ""
