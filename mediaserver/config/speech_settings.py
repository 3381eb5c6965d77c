"""`[speech]`, `[recognition]`, `[chat]`: the engines for speaking (TTS), recognising (STT) and chatting (LLM).

The key `engine` names one engine, or several: if one fails, the next one is used.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_core import PydanticKnownError

from mediaserver.config.fields import ApiUrl, JsonValue, LanguageTag, OneOrMore, Table, WebSocketUrl
from mediaserver.errors import did_you_mean

SpeechEngine = Literal["hibari", "command", "openai"]
RecognitionEngine = Literal["pocketsphinx", "vosk", "openai"]
OPENAI = "https://api.openai.com/v1"
CHAT_ENGINE = "openai"  # the name of the chat engine whose server the table `[chat]` itself describes


def _as_names(value: Any, known: Sequence[str] = ()) -> Any:
    """Turn one engine's name into a list with this name, and leave a list as it is.

    If the value is no list, and is none of the `known` names, PydanticKnownError says which names are allowed.
    """
    if isinstance(value, list | tuple):
        return value
    if known and value not in known:
        raise PydanticKnownError("literal_error", {"expected": _listed(known)})
    return (value,)


def _listed(names: Sequence[str]) -> str:
    """Join names in the way of pydantic's error `literal_error`: `'a', 'b' or 'c'`."""
    quoted = [f"'{name}'" for name in names]
    return " or ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))


def _without_repetition(engines: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(engines)) < len(engines):
        raise ValueError("names an engine twice: name each only once")
    return engines


# One engine's name, or a list of the names of engines in the order in which they are tried.
SpeechEngines = Annotated[
    tuple[SpeechEngine, ...],
    OneOrMore(),
    Field(min_length=1),
    BeforeValidator(lambda value: _as_names(value, get_args(SpeechEngine))),
    AfterValidator(_without_repetition),
]
RecognitionEngines = Annotated[
    tuple[RecognitionEngine, ...],
    OneOrMore(),
    Field(min_length=1),
    BeforeValidator(lambda value: _as_names(value, get_args(RecognitionEngine))),
    AfterValidator(_without_repetition),
]
ChatEngines = Annotated[
    tuple[str, ...],
    OneOrMore(),
    Field(min_length=1),
    BeforeValidator(_as_names),
    AfterValidator(_without_repetition),
]


class HibariSettings(Table):
    """`[speech.hibari]`: speech that is made on this machine."""

    voice: str = Field("", description="The voice where neither a path nor speech.voice names one. Empty: heart.")


class CommandSettings(Table):
    """`[speech.command]`: a program of the operator's that speaks text."""

    program: tuple[str, ...] = Field((), description="The program and its arguments, with {text}, {voice}, ….")
    environment: dict[str, SecretStr] = Field(
        default_factory=dict, description="Environment variables for the program."
    )
    voice: str = Field("", description="What {voice} is where nothing else names a voice.")


class OpenAiSpeechSettings(Table):
    """`[speech.openai]`: any server that speaks text by OpenAI's `/audio/speech`."""

    url: ApiUrl = OPENAI
    token: SecretStr = SecretStr("")
    model: str = Field("gpt-4o-mini-tts", min_length=1)
    voice: str = Field("alloy", min_length=1, description="The voice where a path names none.")


class SpeechSettings(Table):
    """`[speech]`: how text is spoken."""

    engine: SpeechEngines = ("hibari",)
    voice: str = Field("", description="The voice of the first engine. Empty: its own default.")
    rate: float = Field(1.0, ge=0.5, le=2.0, description="The speed, relative to the engine's own.")
    language: LanguageTag = "en"
    max_characters: int = Field(1000, ge=1, le=100_000, description="The most characters of one text.")
    timeout: float = Field(
        3.0, gt=0, le=60, description="Seconds for which a caller waits for the sound of a sentence."
    )
    processes: int = Field(1, ge=1, le=64, description="Processes of hibari, or runs of the command, at once.")
    memory_limit: int = Field(64, ge=1, description="MB of memory for spoken sentences.")
    cache_limit: int = Field(256, ge=1, description="MB of disk for spoken sentences, in prompts.cache.")
    hibari: HibariSettings = HibariSettings()
    command: CommandSettings = CommandSettings()
    openai: OpenAiSpeechSettings = OpenAiSpeechSettings()

    def voice_of(self, engine: str) -> str:
        """The voice of an engine for texts that name none; "" for the engine's own default."""
        # The engine `openai` is left out, because it puts the voice of `[speech.openai]` into its requests itself.
        own = {"hibari": self.hibari.voice, "command": self.command.voice}
        return (self.voice if engine == self.engine[0] else "") or own.get(engine, "")


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

    engine: RecognitionEngines = ("pocketsphinx",)
    language: LanguageTag = "en"
    timeout: float = Field(
        5.0, gt=0, le=120, description="Seconds after an utterance within which its words must come."
    )
    processes: int = Field(
        2, ge=1, le=64, description="Processes of pocketsphinx, one for each caller who speaks."
    )
    vosk: VoskSettings = VoskSettings()
    openai: OpenAiRecognitionSettings = OpenAiRecognitionSettings()


class ChatServerSettings(Table):
    """`[chat.servers.NAME]`: another server of a language model, which `chat.engine` names."""

    url: ApiUrl = Field(OPENAI, description="The base URL, to which /chat/completions is added.")
    token: SecretStr = Field(
        SecretStr(""), description='The API key. It can be literal, "env:NAME" or "file:PATH".'
    )
    model: str = Field("gpt-4o-mini", min_length=1, description="The name of the model at that server.")
    parameters: dict[str, JsonValue] = Field(
        default_factory=dict, description="More fields for the body of each request, such as `temperature`."
    )


class ChatSettings(ChatServerSettings):
    """`[chat]`: any server of a language model that has OpenAI's `/chat/completions`."""

    timeout: float = Field(5.0, gt=0, le=120, description="Seconds within which an answer must begin, and go on.")
    engine: ChatEngines = (CHAT_ENGINE,)
    servers: dict[str, ChatServerSettings] = Field(
        default_factory=dict, description="More servers, by the names that engine uses."
    )

    @model_validator(mode="after")
    def _knows_its_engines(self) -> "ChatSettings":
        if CHAT_ENGINE in self.servers:
            raise ValueError(
                f'servers: "{CHAT_ENGINE}" is the server of [chat] itself: give this one another name'
            )
        for name in self.engine:
            if name not in self.all_servers:
                raise ValueError(
                    f"engine: there is no [chat.servers.{name}]{did_you_mean(name, self.all_servers)}"
                )
        return self

    @property
    def all_servers(self) -> dict[str, ChatServerSettings]:
        """All servers by their names; `CHAT_ENGINE` is the name of the server that `[chat]` itself describes."""
        return {CHAT_ENGINE: self, **self.servers}
