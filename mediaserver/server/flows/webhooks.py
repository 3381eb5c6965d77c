"""Acts on VoIPBIN's webhooks: dials a media stream for each answered call that an `[[attach]]` rule matches, and
ends the stream when the call ends.
"""

import time
from collections.abc import Callable
from enum import StrEnum

import structlog

from mediaserver.call import CloseCode, End, EndReason
from mediaserver.client.attach import Attacher, AttachRequest
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.routing.attach_rules import find_rule
from mediaserver.runtime.engine import Engine
from mediaserver.server.flows.recent import RecentKeys
from mediaserver.support.credentials import redact_url
from mediaserver.wire.voipbin import webhooks
from mediaserver.wire.voipbin.webhooks import CallEvent

log = structlog.get_logger()


class Result(StrEnum):
    """The outcome of a webhook, as the value of a metric's label."""

    ATTACHED = "attached"  # the server dials a media stream to the answered call
    ENDED = "ended"  # the streams of the call were ended
    IGNORED = "ignored"  # no rule matches the call, the call has no stream, or we do not act on such webhooks
    REPEATED = "repeated"  # the same webhook has come before
    FAILED = "failed"  # the server could not dial a media stream: the log says why
    REFUSED = "refused"  # the webhook is not signed by VoIPBIN, or is malformed


class PlatformWebhooks:
    """Acts on webhooks that are signed with the secret. `results` has a count for each `Result`."""

    def __init__(self, engine: Engine, attacher: Attacher, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._attacher = engine, attacher
        self._recent = RecentKeys(clock)
        self.results = dict.fromkeys(map(str, Result), 0)

    async def take(self, body: bytes, signature: str) -> None:
        """Act on a webhook. `signature` is the value of its header `X-VoIPBIN-Signature`.

        RefusedError: 403 for a wrong signature, 400 for a malformed body, 503 if VoIPBIN is to repeat it later.
        """
        result = Result.REFUSED
        try:
            event = self._verify(body, signature)
            result = Result.FAILED
            result = await self._act(event) if event is not None else Result.IGNORED
        finally:
            self.results[result] += 1

    def _verify(self, body: bytes, signature: str) -> CallEvent | None:
        secret = self._engine.configuration.secrets["flows.webhook_secret"]
        if not webhooks.is_signed(body, secret, signature):
            raise RefusedError(RefusalReason.SIGNATURE, "the signature does not fit the body")
        try:
            return webhooks.parse_event(body)
        except ValueError as error:
            raise RefusedError(RefusalReason.BAD_BODY, str(error)) from error

    async def _act(self, event: CallEvent) -> Result:
        if not self._recent.add((event.type, event.call)):
            return Result.REPEATED
        if event.type == webhooks.HANGUP:
            return self._end_streams(event.call)
        if (webhooks.HANGUP, event.call) in self._recent:  # a late webhook: the call has ended meanwhile
            return Result.IGNORED
        return await self._attach(event)

    def _end_streams(self, call: str) -> Result:
        found = self._engine.streams.of_call(call)
        for session in found:
            session.finish(End(EndReason.PEER_HUNG_UP, CloseCode.NORMAL))
        return Result.ENDED if found else Result.IGNORED

    async def _attach(self, event: CallEvent) -> Result:
        """Dial a media stream to the call, for the path of the first `[[attach]]` rule that matches the call."""
        rules = self._engine.settings.attach
        rule = find_rule(rules, event.destination, event.source, event.direction)
        if rule is None:
            return Result.IGNORED
        facts = {"call": event.call, "path": redact_url(rule.path), "rule": f"attach[{rules.index(rule)}]"}
        variables = {"source": event.source, "destination": event.destination}
        request = AttachRequest(resource=f"calls/{event.call}", path=rule.path, variables=variables)
        try:
            attachment = await self._attacher.prepare(request)
        except RefusedError as error:
            log.error("attach refused", why=str(error), **facts)
            if error.status == RefusalReason.FULL.status:
                self._recent.discard((event.type, event.call))  # else VoIPBIN's repeated webhook would be ignored
                raise RefusedError(RefusalReason.FULL, "not attached: try again later") from error
            return Result.FAILED
        self._attacher.start(attachment)
        log.info("attaching", stream=attachment.session.stream.id, **facts)
        return Result.ATTACHED
