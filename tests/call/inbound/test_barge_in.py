"""Barge-in by speech, on whole calls: what stops a prompt, and what does not."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from mediaserver.audio.pcm import FRAME_BYTES, to_bytes
from mediaserver.call import Call, Utterance
from mediaserver.call.inbound.barge_in import SentFrames
from mediaserver.playout.sources.source import Clip
from mediaserver.wire.encapsulation import ALAW, PCM, PCMU, Encapsulation, Encoding, WireSettings
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.sound import voice
from tests.virtual import VirtualLoop, in_virtual_time

PROMPT = Clip(to_bytes(np.concatenate([voice(12_000, pitch, 8000) for pitch in (130, 200, 160, 220)])))  # 6 s
NOISE = to_bytes(np.random.default_rng(1).normal(0, 116, 56_000).astype(np.int16))  # 7 s at -46 dBFS
WORD = to_bytes(voice(4000))


async def heard_s(
    caller: Caller, run: Callable[[Call], object], said: Callable[[int], bytes], ms: float = 7000
) -> float:
    """Seconds of sound that a caller hears who says a frame at a time, by the frame's number."""
    acts = [(n * 20.0, lambda n=n: caller.say(said(n))) for n in range(round(ms / 20))]
    await caller.call(run, ms, *acts)  # type: ignore[arg-type]
    return float(np.flatnonzero(caller.sounding())[-1] + 1) / 50


def echo_of(caller: Caller, db: float, delay: int = 5) -> Callable[[int], bytes]:
    """What the caller's line sends back: what it was sent `delay` frames ago, `db` weaker."""

    def frame(n: int) -> bytes:
        sent = caller.stage.transport.messages
        if len(sent) <= delay:
            return bytes(FRAME_BYTES)
        samples = np.frombuffer(sent[len(sent) - 1 - delay][4:], "<i2") * 10 ** (-db / 20)
        return to_bytes(samples.astype(np.int16))

    return frame


async def prompt(call: Call) -> None:
    await call.prompt(PROMPT, "speech")
    await call.silence()


@in_virtual_time
async def test_noise_does_not_stop_a_prompt(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    assert await heard_s(caller, prompt, lambda n: NOISE[n * 320 : n * 320 + 320]) == 6.0


@pytest.mark.parametrize("db", [20, 30])
@in_virtual_time
async def test_its_own_echo_does_not_stop_a_prompt(loop: VirtualLoop, db: float) -> None:
    caller = Caller(loop, library_of())
    assert await heard_s(caller, prompt, echo_of(caller, db)) == 6.0


@in_virtual_time
async def test_what_is_like_an_echo_but_was_not_sent_stops_a_prompt(loop: VirtualLoop) -> None:
    caller, silent = Caller(loop, library_of()), Clip(bytes(FRAME_BYTES * 300))
    stopped: list[float] = []

    async def run(call: Call) -> None:
        await call.prompt(silent, "speech")
        stopped.append(loop.time())
        await call.play(PROMPT)

    weaker = (np.frombuffer(PROMPT.pcm, "<i2") * 0.1).astype(np.int16)
    await heard_s(caller, run, lambda n: to_bytes(weaker[n * 160 : n * 160 + 160]), 3000)
    assert stopped[0] < 0.5


@in_virtual_time
async def test_a_word_over_noise_and_echo_stops_a_prompt_within_200_ms(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    echo = echo_of(caller, 26)

    def said(n: int) -> bytes:
        parts = [echo(n), NOISE[n * 320 : n * 320 + 320]]
        if 150 <= n < 175:
            parts.append(WORD[(n - 150) * 320 : (n - 149) * 320])
        return to_bytes(np.sum([np.frombuffer(part, "<i2") for part in parts], axis=0).astype(np.int16))

    assert 3.0 < await heard_s(caller, prompt, said) <= 3.2


@in_virtual_time
async def test_speech_is_waited_for_beneath_the_echo_of_what_is_played(loop: VirtualLoop) -> None:
    caller, found = Caller(loop, library_of()), []

    async def run(call: Call) -> None:
        playing = asyncio.ensure_future(call.play(PROMPT))
        found.append(await call.wait_for_speech(5))
        await playing

    await heard_s(caller, run, echo_of(caller, 20))
    assert found == [False]


@in_virtual_time
async def test_an_echo_is_no_utterance_and_a_word_over_it_is_one_with_its_beginning(loop: VirtualLoop) -> None:
    caller, found = Caller(loop, library_of()), []
    echo = echo_of(caller, 24)

    async def run(call: Call) -> None:
        playing = asyncio.ensure_future(call.play(PROMPT))
        with call.utterances(barge_in=True) as utterances:
            async for utterance in utterances:
                found.append((loop.time(), utterance, b"".join([pcm async for pcm in utterance])))
                playing.cancel()

    def said(n: int) -> bytes:
        word = WORD[(n - 150) * 320 : (n - 149) * 320] if 150 <= n < 175 else bytes(FRAME_BYTES)
        return to_bytes((np.frombuffer(echo(n), "<i2") + np.frombuffer(word, "<i2")).astype(np.int16))

    await heard_s(caller, run, said)
    ((at, utterance, pcm),) = found[:1]
    assert isinstance(utterance, Utterance)
    assert 3.0 <= at <= 3.2
    assert utterance.start == pytest.approx(3.0, abs=0.05)
    assert len(pcm) >= len(WORD) + 15 * FRAME_BYTES


@pytest.mark.parametrize("encoding", [PCM, PCMU, ALAW])
def test_frames_are_decoded_once_they_are_asked_for(encoding: Encoding) -> None:
    sent = SentFrames()
    assert not sent.may_echo
    sent.on_frame_sent(encoding, encoding.silence)
    assert not sent.may_echo
    pcm = to_bytes(voice(160 * 40))
    for item in encoding.packetize(pcm):
        sent.on_frame_sent(encoding, item)
    assert sent.may_echo
    taken = np.frombuffer(sent.take(), "<i2").astype(int)
    assert np.abs(taken - np.frombuffer(pcm, "<i2")[12 * 160 :]).max() < 400  # of G.711
    assert sent.take() == b""
    for _ in range(27):
        sent.on_frame_sent(encoding, encoding.silence)
    assert sent.may_echo
    sent.on_frame_sent(encoding, encoding.silence)
    assert not sent.may_echo


@in_virtual_time
async def test_prompts_in_another_encoding_are_known_by_their_echo_too(loop: VirtualLoop) -> None:
    settings = WireSettings(encapsulation=Encapsulation.SLN)
    caller = Caller(loop, library_of(), settings)
    assert await heard_s(caller, prompt, echo_of(caller, 20)) == 6.0
