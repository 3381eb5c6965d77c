"""Tones that are computed as they play: how the cache counts their memory."""

from mediaserver.audio import tones
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.sources.tones import ToneCache
from mediaserver.wire.encapsulation import L16, MESSAGE, PCM, PCMA, PCMU


def test_a_tone_is_counted_with_its_samples_and_its_frames_in_all_encodings() -> None:
    tone = ToneCache(10**6).get(tones.parse("425/500,0/500", -3.0))
    segments = (*tone.once, *tone.repeat)
    taken = 2 * sum(segment.samples for segment in segments)
    for encoding in (PCM, MESSAGE, PCMU, PCMA, L16):
        for segment in segments:
            frames = segment.get_frames(encoding)
            assert isinstance(frames, EncodedFrames)
            taken += sum(map(len, frames.frames))
    assert taken <= tone.size < 2 * taken
