"""The admin port's requests about what is heard on a live stream: what plays, and how."""

from collections.abc import Sequence

from aiohttp import web

from mediaserver.call import Session
from mediaserver.call.listening.listen_in import Side
from mediaserver.config.listener_settings import Scope
from mediaserver.errors import PromptError, RefusalReason, RefusedError
from mediaserver.handlers.common.spoken_prompt import SpokenPromptSettings
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.server.admin.authorization import GRANT
from mediaserver.server.admin.control.bodies import GainRequest, MarkRequest, MuteRequest
from mediaserver.server.admin.control.fetched_sounds import FetchedSounds
from mediaserver.server.admin.control.lookup import StreamLookup
from mediaserver.server.admin.schemas.answers import Identified, Marked
from mediaserver.server.admin.schemas.openapi import Operation
from mediaserver.server.admin.schemas.requests import BackgroundRequest, PlayRequest, SoundUrl, parse_body


class MediaRequests:
    """Handles requests about the sound of one stream. `find` returns the stream that a request names.

    Requests name the prompts that `library` has now, not those that the call has had since it began. `sounds`
    downloads sounds from URLs.
    """

    def __init__(self, library: PromptLibrary, find: StreamLookup, sounds: FetchedSounds) -> None:
        self._library, self._find, self._sounds = library, find, sounds

    @property
    def operations(self) -> Sequence[Operation]:
        """The operations of the admin port that this object handles."""
        one, control = "/v1/streams/{id}", Scope.CONTROL
        return [
            Operation("POST", f"{one}/play", control, self.play, PlayRequest, answers={202: Identified}),
            Operation("DELETE", f"{one}/play", control, self.clear),
            Operation("DELETE", f"{one}/play/{{playback}}", control, self.stop),
            Operation("POST", f"{one}/marks", control, self.mark, MarkRequest, answers={202: Marked}),
            Operation("PUT", f"{one}/background", control, self.set_background, BackgroundRequest),
            Operation("PUT", f"{one}/gain", control, self.set_gain, GainRequest),
            Operation("PUT", f"{one}/mute", control, self.mute, MuteRequest),
        ]

    async def play(self, request: web.Request) -> web.Response:
        """Play prompts, spoken texts, and sound files by their URLs, and return the id of the playback."""
        asked = await parse_body(request, PlayRequest)
        session, fetched = self._find(request), await self._sounds.fetch_all(asked.urls)
        self._find.require_live(session)  # by now, the name may stand for another stream
        own = [item for item in asked.items if not isinstance(item, SoundUrl)]
        try:
            rendered = iter(SpokenPromptSettings().render(own, session.call, prompts=self._prompts_for(session)))
        except PromptError as error:
            raise RefusedError(RefusalReason.UNKNOWN_PROMPT, str(error)) from error
        except ValueError as error:
            raise RefusedError(RefusalReason.BAD_TEXT, str(error)) from error
        segments = [fetched[item.url] if isinstance(item, SoundUrl) else next(rendered) for item in asked.items]
        sound = Playlist(Repeated(segments, asked.repeat))
        playback = session.operator.play(sound, segments[0], interrupt=asked.interrupt)
        return web.json_response({"id": playback}, status=202)

    async def stop(self, request: web.Request) -> web.Response:
        """Stop a sound that a request plays."""
        self._find(request).operator.stop(request.match_info["playback"])
        return web.Response(status=204)

    async def clear(self, request: web.Request) -> web.Response:
        """Stop all sound that plays or waits on a stream, including that of its handler."""
        self._find(request).operator.clear()
        return web.Response(status=204)

    async def mark(self, request: web.Request) -> web.Response:
        """Emit the event `mark` when all sound that plays or waits now has been sent, or was stopped."""
        asked = await parse_body(request, MarkRequest)
        self._find(request).operator.marks.add(asked.name)
        return web.json_response({"name": asked.name}, status=202)

    async def set_background(self, request: web.Request) -> web.Response:
        """Set or remove the background of a stream: a prompt that is repeated under all that is played."""
        asked = await parse_body(request, BackgroundRequest)
        session = self._find(request)
        try:
            prompt = self._prompts_for(session).find(asked.prompt) if asked.prompt is not None else None
            session.call.set_background(prompt, asked.level, asked.ducking)
        except PromptError as error:
            raise RefusedError(RefusalReason.UNKNOWN_PROMPT, str(error)) from error
        return web.Response(status=204)

    async def set_gain(self, request: web.Request) -> web.Response:
        """Set the gain of all that the server sends on a stream, from the next frame on."""
        asked = await parse_body(request, GainRequest)
        self._find(request).operator.set_gain(asked.gain, request[GRANT].caller)
        return web.Response(status=204)

    async def mute(self, request: web.Request) -> web.Response:
        """Mute or unmute what the server sends on a stream, or what its handler hears of the caller."""
        asked = await parse_body(request, MuteRequest)
        self._find(request).operator.mute(Side(asked.side), asked.muted, request[GRANT].caller)
        return web.Response(status=204)

    def _prompts_for(self, session: Session) -> PromptSnapshot:
        """The prompts as they are now, with the gain and in the language of a stream's path."""
        own = session.call.prompts
        return self._library.snapshot.view(gain=own.gain, language=own.language)
