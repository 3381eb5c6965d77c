"""`[speech]`, `[recognition]`, `[chat]`: the engines for speaking (TTS), recognising (STT) and chatting (LLM)."""

from typing import Literal

from pydantic import Field, SecretStr

from mediaserver.config.fields import ApiUrl, JsonValue, LanguageTag, Table, WebSocketUrl

SpeechEngine = Literal["hibari", "command", "openai"]
RecognitionEngine = Literal["pocketsphinx", "vosk", "openai"]
OPENAI = "https://api.openai.com/v1"


class CommandSettings(Table):
    """`[speech.command]`: a program of the operator's that speaks text."""

    program: tuple[str, ...] = Field((), description="its name and arguments; {text}, {voice}, … are filled in")
    environment: dict[str, SecretStr] = Field(
        default_factory=dict, description="variables for it, or the places of their values"
    )


class OpenAiSpeechSettings(Table):
    """`[speech.openai]`: any server that speaks text by OpenAI's `/audio/speech`."""

    url: ApiUrl = OPENAI
    token: SecretStr = SecretStr("")
    model: str = Field("gpt-4o-mini-tts", min_length=1)
    voice: str = Field("alloy", min_length=1, description="where a path names none")


class SpeechSettings(Table):
    """`[speech]`: how text is spoken."""

    engine: SpeechEngine = "hibari"
    voice: str = Field("", description="empty: the engine's own")
    rate: float = Field(1.0, ge=0.5, le=2.0, description="times the engine's own pace")
    language: LanguageTag = "en"
    max_characters: int = Field(1000, ge=1, le=100_000, description="of one text")
    timeout: float = Field(
        3.0, gt=0, le=60, description="seconds that a sentence's sound may keep callers waiting"
    )
    processes: int = Field(1, ge=1, le=64, description="of hibari, or runs of the command, at once")
    memory_limit: int = Field(64, ge=1, description="MB of spoken sentences in memory")
    cache_limit: int = Field(256, ge=1, description="MB of spoken sentences on disk, in prompts.cache")
    command: CommandSettings = CommandSettings()
    openai: OpenAiSpeechSettings = OpenAiSpeechSettings()


class VoskSettings(Table):
    """`[recognition.vosk]`: a vosk-server, which recognises speech."""

    url: WebSocketUrl = "ws://127.0.0.1:2700"


class OpenAiRecognitionSettings(Table):
    """`[recognition.openai]`: any server that recognises speech by OpenAI's `/audio/transcriptions`."""

    url: ApiUrl = OPENAI
    token: SecretStr = SecretStr("")
    model: str = Field("whisper-1", min_length=1)


class RecognitionSettings(Table):
    """`[recognition]`: how speech is recognised."""

    engine: RecognitionEngine = "pocketsphinx"
    language: LanguageTag = "en"
    timeout: float = Field(5.0, gt=0, le=120, description="seconds after an utterance for its words")
    processes: int = Field(2, ge=1, le=64, description="of pocketsphinx: utterances recognised at once")
    vosk: VoskSettings = VoskSettings()
    openai: OpenAiRecognitionSettings = OpenAiRecognitionSettings()


class ChatSettings(Table):
    """`[chat]`: any server of a language model that has OpenAI's `/chat/completions`."""

    url: ApiUrl = OPENAI
    token: SecretStr = SecretStr("")
    model: str = Field("gpt-4o-mini", min_length=1)
    timeout: float = Field(5.0, gt=0, le=120, description="seconds that an answer may take to begin, or to go on")
    parameters: dict[str, JsonValue] = Field(
        default_factory=dict, description="more of a request's body: temperature, …"
    )
