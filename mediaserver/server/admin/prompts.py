"""The admin port's requests about prompts: which there are, how they sound, and their waveforms."""

import asyncio
import bisect
from collections.abc import Callable

from aiohttp import web

from mediaserver.audio.containers import wav
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, FULL_SCALE, SAMPLE_BYTES, SAMPLE_RATE, from_bytes
from mediaserver.config.listener_settings import Scope
from mediaserver.errors import PromptError, RefusalReason, RefusedError
from mediaserver.playout.prompts.encoded_frames import PCM_BLOCK_BYTES, EncodedFrames
from mediaserver.playout.prompts.prompt_store import Prompt
from mediaserver.playout.prompts.report import describe_loudness
from mediaserver.runtime.disk_caches import MEGABYTE
from mediaserver.runtime.engine import Engine
from mediaserver.server.admin.prompt_changes import PromptChanges
from mediaserver.server.admin.schemas.answers import Prompts, Waveform
from mediaserver.server.admin.schemas.openapi import WAV, Operation
from mediaserver.server.admin.schemas.requests import parse_limit
from mediaserver.wire.encapsulation import PCM, PCMA, PCMU

_BLOCK_FRAMES = PCM_BLOCK_BYTES // FRAME_BYTES  # number of frames sent between two turns of the event loop
_COLUMNS = 400  # the most time slices of a waveform
# What a telephone line does to PCM, by the values of the query's `law`.
_LAWS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "mulaw": lambda pcm: PCMU.expand(PCMU.compand(pcm)),
    "alaw": lambda pcm: PCMA.expand(PCMA.compand(pcm)),
}


class PromptRequests:
    """Handles requests about prompts. Those that change prompts are handled by `PromptChanges`."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._changes = engine, PromptChanges(engine)

    @property
    def operations(self) -> list[Operation]:
        """The operations of the admin port that this object or `PromptChanges` handles."""
        one = "/v1/prompts/{name}"
        return [
            Operation(
                "GET",
                "/v1/prompts",
                Scope.READ,
                self.list_prompts,
                query=("limit", "after"),
                answers={200: Prompts},
            ),
            Operation(
                "GET", f"{one}/audio", Scope.READ, self.audio, query=("law",), lasting=True, answers={200: WAV}
            ),
            Operation("GET", f"{one}/waveform", Scope.READ, self.waveform, answers={200: Waveform}),
            *self._changes.operations,
        ]

    async def list_prompts(self, request: web.Request) -> web.Response:
        """List the prompts that can be played, by name, a page at a time, and the files that cannot be played."""
        settings = self._engine.settings.prompts
        library, limit, after = self._engine.library, parse_limit(request.query), request.query.get("after", "")
        names = sorted(library.prompts)
        begin = bisect.bisect_right(names, after) if after else 0
        page = names[begin : begin + limit]
        prompts = [library.prompts[name] for name in page]
        return web.json_response(
            {
                "prompts": [{**prompt.describe(), "warnings": _warnings(prompt)} for prompt in prompts],
                "total": len(names),
                "editable": settings.editable,
                "upload_limit": settings.upload_limit * MEGABYTE,
                "problems": [{"file": file, "why": why} for file, why in sorted(library.problems.items())],
                **({"next": page[-1]} if begin + limit < len(names) else {}),
            }
        )

    async def audio(self, request: web.Request) -> web.StreamResponse:
        """Return a prompt as callers hear it: WAV, 8 kHz. With `law=mulaw` or `law=alaw` it went through G.711."""
        law = _LAWS.get(request.query.get("law", ""))
        if law is None:
            raise RefusedError(RefusalReason.BAD_QUERY, "law should be mulaw or alaw")
        encoded = await self._pcm_of(request.match_info["name"])
        left = encoded.samples * SAMPLE_BYTES
        response = web.StreamResponse(headers={"Content-Type": "audio/wav", "Cache-Control": "no-store"})
        response.content_length = wav.HEADER_BYTES + left
        await response.prepare(request)
        await response.write(wav.header(1, left))
        for at in range(0, len(encoded.frames), _BLOCK_FRAMES):
            pcm = _join(encoded, at, at + _BLOCK_FRAMES)[:left]
            left -= len(pcm)
            await response.write(law(pcm))
            await asyncio.sleep(0)
        return response

    async def waveform(self, request: web.Request) -> web.Response:
        """Return the waveform of a prompt: the lowest and highest value of each of up to 400 parts, in percent."""
        encoded = await self._pcm_of(request.match_info["name"])
        columns, parts = min(_COLUMNS, encoded.samples), []
        for column in range(columns):
            begin, end = (encoded.samples * each // columns for each in (column, column + 1))
            first = begin // FRAME_SAMPLES
            samples = from_bytes(_join(encoded, first, -(-end // FRAME_SAMPLES)))
            part = samples[begin - first * FRAME_SAMPLES : end - first * FRAME_SAMPLES]
            parts.append([_percent(part.min()), _percent(part.max())])
            await asyncio.sleep(0)
        return web.json_response({"duration_s": round(encoded.samples / SAMPLE_RATE, 3), "waveform": parts})

    async def _pcm_of(self, name: str) -> EncodedFrames:
        """The PCM of a prompt. RefusedError 404 if there is no such prompt, or if its file has disappeared."""
        try:
            encoded = self._engine.library.snapshot.find(name).get_frames(PCM)
            return encoded if isinstance(encoded, EncodedFrames) else await asyncio.shield(encoded)
        except PromptError as error:
            raise RefusedError(RefusalReason.UNKNOWN_PROMPT, str(error)) from error


def _warnings(prompt: Prompt) -> list[str]:
    """What decoding a prompt has warned of, and whether the prompt is too soft or too loud."""
    return [*prompt.info.warnings, *filter(None, [describe_loudness(prompt)])]


def _join(encoded: EncodedFrames, begin: int, end: int) -> bytes:
    """The PCM of frames `begin` to `end` of a prompt, without the headers of the encoding."""
    return b"".join(map(PCM.decode, encoded.frames[begin:end]))


def _percent(sample: float) -> int:
    return round(100 * float(sample) / FULL_SCALE)
