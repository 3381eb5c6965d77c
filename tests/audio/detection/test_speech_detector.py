"""What counts as speech that may stop a prompt, and what does not: synthetic signals, through µ-law."""

from itertools import pairwise

import numpy as np
import pytest

from mediaserver.audio import g711, tones
from mediaserver.audio.detection.speech_detector import SpeechDetector, detect_speech
from mediaserver.audio.pcm import FRAME_BYTES, Samples, to_bytes
from mediaserver.audio.tone_plans import TONE_PLANS
from tests.sound import voice

SECOND = 8000


def amplitude(dbfs: float) -> float:
    return float(32768 / np.sqrt(2) * 10 ** (dbfs / 20))


def noise(dbfs: float, seconds: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, amplitude(dbfs), round(seconds * SECOND))


def line(signal: np.ndarray) -> list[bytes]:
    """The frames of a signal as they come out of a telephone line."""
    samples = np.clip(np.rint(signal), -32768, 32767).astype(np.int16)
    pcm = to_bytes(g711.mulaw_decode(g711.mulaw_encode(samples)))
    return [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)]


def spoken(dbfs: float, seconds: float = 1.0, pitch: float = 120.0, melody: float = 1.0) -> np.ndarray:
    sound = voice(round(seconds * SECOND), pitch, melody=melody).astype(float)
    return np.asarray(sound * amplitude(dbfs) / sound.std())


def hum(hertz: float, dbfs: float, seconds: float) -> np.ndarray:
    at = np.arange(round(seconds * SECOND)) / SECOND
    sound = sum(np.sin(2 * np.pi * hertz * n * at + n * n) / n for n in range(1, 16))
    return np.asarray(sound / np.std(sound) * amplitude(dbfs))


def piano(seconds: float, dbfs: float) -> np.ndarray:
    """Chords of notes that die away, a chord each half a second."""
    chords = [(349, 440, 523, 659), (294, 349, 440, 523), (392, 466, 587, 698), (262, 330, 466, 587)]
    at = np.arange(SECOND // 2) / SECOND
    envelope = np.minimum(at / 0.008, 1) * np.exp(-at / 0.6) * np.minimum((0.5 - at) / 0.02, 1)
    parts = [
        sum(envelope * np.sin(2 * np.pi * hertz * n * at) / n**2 for hertz in chord for n in (1, 2, 3, 4))
        for chord in chords
    ]
    tune = np.tile(np.concatenate(parts), round(seconds / 2))
    return np.asarray(tune / tune.std() * amplitude(dbfs))


def begins(frames: list[bytes], detector: SpeechDetector | None = None) -> list[int]:
    """The numbers of the frames, from 0, with which somebody begins to speak."""
    detector = detector or SpeechDetector()
    speaking = [False, *map(detector.feed, frames)]
    return [number for number, (before, now) in enumerate(pairwise(speaking)) if now > before]


@pytest.mark.parametrize("dbfs", [-60, -46, -34, -20])
def test_noise_is_no_speech_from_its_first_frame_on(dbfs: float) -> None:
    assert begins(line(noise(dbfs, 10))) == []
    assert begins([bytes(FRAME_BYTES)] * 50 + line(noise(dbfs, 5, 2))) == []


@pytest.mark.parametrize("hertz", [50, 60])
@pytest.mark.parametrize("dbfs", [-45, -30])
def test_mains_hum_is_no_speech(hertz: float, dbfs: float) -> None:
    quiet = noise(-65, 1)
    assert begins(line(np.concatenate((quiet, hum(hertz, dbfs, 5) + noise(-65, 5), quiet)))) == []


@pytest.mark.parametrize("name", ["dial", "ringback", "busy", "congestion", "sit"])
@pytest.mark.parametrize("country", TONE_PLANS)
def test_call_progress_tones_are_no_speech(country: str, name: str) -> None:
    tone = tones.render(tones.normalize(tones.parse(TONE_PLANS[country][name], -15.0))).repeat.astype(float)
    tone = np.tile(tone, -(-6 * SECOND // len(tone)))[: 6 * SECOND]
    assert begins(line(tone + noise(-65, 6))) == []


@pytest.mark.parametrize("snr", [10, 15, 25])
@pytest.mark.parametrize("country", TONE_PLANS)
def test_a_ringing_tone_on_a_noisy_line_is_no_speech(country: str, snr: float) -> None:
    tone = tones.render(tones.normalize(tones.parse(TONE_PLANS[country]["ringback"], -15.0))).repeat.astype(float)
    ringing = np.tile(tone, 2)[: 9 * SECOND]
    level = 20 * np.log10(ringing[: SECOND // 4].std() / amplitude(0))
    assert begins(line(ringing + noise(level - snr, len(ringing) / SECOND))) == []


@pytest.mark.parametrize("dbfs", [-35, -20])
def test_held_notes_are_no_speech(dbfs: float) -> None:
    assert begins(line(piano(6, dbfs) + noise(-65, 6))) == []


@pytest.mark.parametrize("pitch", [95, 120, 180, 240])
@pytest.mark.parametrize("snr", [10, 15, 30])
def test_a_voice_is_speech_within_200_ms(snr: float, pitch: float) -> None:
    sound = np.concatenate((np.zeros(2 * SECOND), spoken(-26, 1, pitch), np.zeros(SECOND)))
    (began,) = begins(line(sound + noise(-26 - snr, 4)))
    assert 100 <= began <= 109  # the frame that ends 200 ms after the voice began


@pytest.mark.parametrize("pitch", [95, 120, 180, 240])
@pytest.mark.parametrize("snr", [10, 15, 30])
def test_a_voice_with_hardly_any_melody_is_speech_within_200_ms(snr: float, pitch: float) -> None:
    voice_alone = spoken(-26, 1, pitch, melody=0.08)
    sound = np.concatenate((np.zeros(2 * SECOND), voice_alone, np.zeros(SECOND)))
    assert 100 <= begins(line(sound + noise(-26 - snr, 4)))[0] <= 109


def test_speech_is_over_half_a_second_after_it() -> None:
    detector = SpeechDetector()
    said = line(np.concatenate((noise(-60, 1), spoken(-26) + noise(-60, 1), noise(-60, 1))))
    speaking = [detector.feed(frame) for frame in said]
    assert any(speaking[50:60])
    assert all(speaking[60:100])
    assert not any(speaking[130:])
    assert detector.frames == 150


def test_the_frame_with_which_speech_began_is_known() -> None:
    detector = SpeechDetector()
    for frame in line(np.concatenate((noise(-60, 1), spoken(-26) + noise(-60, 1)))):
        if detector.feed(frame):
            break
    assert detector.began_frame in (51, 52)
    assert detector.frames > detector.began_frame


def test_a_click_and_a_short_vowel_are_no_speech() -> None:
    sound = noise(-60, 4)
    sound[SECOND : SECOND + 80] += 8000
    sound[2 * SECOND : 2 * SECOND + 320] += spoken(-20)[:320]
    assert begins(line(sound)) == []


def test_a_dtmf_tone_is_no_speech() -> None:
    detector = SpeechDetector()
    assert not any(detector.feed(frame, tone=True) for frame in line(spoken(-20)))


def test_a_voice_too_faint_is_no_speech() -> None:
    assert begins(line(spoken(-62))) == []
    assert len(begins(line(spoken(-48)))) == 1


def test_sound_may_come_in_pieces_of_any_size_and_with_its_power() -> None:
    frames = line(np.concatenate((noise(-60, 1), spoken(-26), noise(-60, 1))))
    pcm, whole, pieces, measured = b"".join(frames), SpeechDetector(), SpeechDetector(), SpeechDetector()
    whole.feed(pcm[:-16_000])
    for at in range(0, len(pcm) - 16_000, 138):
        pieces.feed(pcm[at : min(at + 138, len(pcm) - 16_000)])
    assert (whole.speaking, whole.frames, whole.began_frame) == (True, pieces.frames, pieces.began_frame)
    powers = [float(np.mean(np.frombuffer(frame, "<i2").astype(float) ** 2)) for frame in frames]
    begun = [measured.feed(frame, power=power) for frame, power in zip(frames, powers, strict=True)]
    assert begun.index(True) == begins(frames)[0]


def test_higher_modes_take_less_for_speech() -> None:
    frames = line(np.concatenate((noise(-41, 2), spoken(-26) + noise(-41, 1))))
    first = [begins(frames, SpeechDetector(mode))[0] for mode in (0, 1, 2, 3)]
    assert first == sorted(first)
    assert first[0] < first[3]


# -- echo --------------------------------------------------------------------------------------------------------


class Line:
    """A far end that sends back what it is sent, `delay` frames later and `loss` dB weaker, under a voice."""

    def __init__(self, sent: Samples, delay: int, loss: float, said: np.ndarray | None = None) -> None:
        back = np.concatenate((np.zeros(delay * 160 + 37), sent))[: len(sent)].astype(float) * 10 ** (-loss / 20)
        self.sent = line(sent)
        self.received = line(back + noise(-65, len(sent) / SECOND) + (said if said is not None else 0))

    def begins(self) -> list[int]:
        playing: list[bytes] = []

        def take() -> bytes:
            pcm = b"".join(playing)
            playing.clear()
            return pcm

        detector, begun, before = SpeechDetector(sent=take), [], False
        for number, (out, frame) in enumerate(zip(self.sent, self.received, strict=True)):
            playing.append(out)
            if detector.feed(frame) > before:
                begun.append(number)
            before = detector.speaking
        return begun


PROMPT = np.concatenate([spoken(-20, 1.5, pitch) for pitch in (130, 200, 160, 220)]).astype(np.int16)  # 6 s


@pytest.mark.parametrize("delay", [0, 3, 9, 19])
@pytest.mark.parametrize("loss", [20, 30, 40])
def test_the_echo_of_what_is_sent_is_no_speech(loss: float, delay: int) -> None:
    assert Line(PROMPT, delay, loss).begins() == []


def test_an_echo_stronger_than_lines_have_is_speech() -> None:
    assert Line(PROMPT, 5, 6).begins()


@pytest.mark.parametrize("delay", [0, 9, 19])
def test_a_voice_is_heard_over_the_echo(delay: int) -> None:
    said = np.concatenate((np.zeros(3 * SECOND), spoken(-26, 1, 110), np.zeros(2 * SECOND)))
    begun = Line(PROMPT, delay, 20, said).begins()
    assert len(begun) == 1
    assert 150 <= begun[0] <= 159


# -- streams together --------------------------------------------------------------------------------------------


def tone(country: str, name: str, seconds: float) -> np.ndarray:
    sound = tones.render(tones.normalize(tones.parse(TONE_PLANS[country][name], -15.0))).repeat.astype(float)
    return np.resize(sound, round(seconds * SECOND)) + noise(-65, seconds)


def corpus() -> list[list[bytes]]:
    """Frames of voices at three SNRs, and of what is no voice, with and without silence before and after."""
    quiet = np.zeros(SECOND)
    sounds = [noise(dbfs, 3) for dbfs in (-60, -46, -34, -20)]
    sounds += [hum(hertz, dbfs, 3) + noise(-65, 3) for hertz in (50, 60) for dbfs in (-45, -30)]
    sounds += [tone(country, name, 2.5) for country in ("us", "uk", "de") for name in ("busy", "ringback", "sit")]
    sounds += [piano(4, -20) + noise(-65, 4), np.concatenate((quiet, piano(2, -35)))]
    for pitch in (95, 120, 180, 240):
        for snr in (5, 15, 30):
            said = np.concatenate((quiet, spoken(-26, 1.2, pitch), quiet)) + noise(-26 - snr, 3.2)
            sounds.append(np.concatenate((said, quiet)) if snr == 15 else said)
    return [line(sound) for sound in sounds]


def test_streams_that_are_heard_together_have_the_speech_of_each_frame_by_frame() -> None:
    streams = corpus()
    sent = [line(PROMPT * 0.5) if n % 4 == 0 else None for n in range(len(streams))]
    playing: list[list[bytes]] = [[] for _ in range(2 * len(streams))]

    def take(n: int) -> bytes:
        pcm = b"".join(playing[n])
        playing[n].clear()
        return pcm

    def detector(n: int, queue: int) -> SpeechDetector:
        return SpeechDetector(n % 4, (lambda: take(queue)) if sent[n] is not None else None)

    alone = [detector(n, 2 * n) for n in range(len(streams))]
    together = [detector(n, 2 * n + 1) for n in range(len(streams))]
    spoke = 0
    for number in range(max(map(len, streams))):
        # A stream is left out now and then, so that the streams are not the same ones each time.
        present = [n for n, frames in enumerate(streams) if number < len(frames) and (number + n) % 23]
        for n in present:
            if (out := sent[n]) is not None:
                playing[2 * n].append(out[number])
                playing[2 * n + 1].append(out[number])
        held = [(number + n) % 37 == 0 for n in present]
        samples = np.stack([np.frombuffer(streams[n][number], "<i2") for n in present])
        powers = (samples.astype(float) ** 2).mean(axis=1)
        detect_speech([together[n] for n in present], samples, powers, held)
        for n, tone_held in zip(present, held, strict=True):
            spoke += alone[n].feed(streams[n][number], tone_held)
            found = (together[n].speaking, together[n].began_frame, together[n].frames)
            assert found == (alone[n].speaking, alone[n].began_frame, alone[n].frames)
    assert spoke > 500


def test_a_stream_may_be_heard_alone_and_together_in_turns() -> None:
    frames = line(np.concatenate((noise(-60, 1), spoken(-26) + noise(-60, 1), np.zeros(SECOND))))
    alone, other, turns = SpeechDetector(), SpeechDetector(), SpeechDetector()
    for number, frame in enumerate(frames):
        alone.feed(frame)
        if number // 5 % 2:
            turns.feed(frame)
        else:
            samples = np.stack([np.frombuffer(frame, "<i2")] * 2)
            powers = (samples.astype(float) ** 2).mean(axis=1)
            detect_speech([other, turns], samples, powers, [False] * 2)
        assert (turns.speaking, turns.began_frame) == (alone.speaking, alone.began_frame)
    assert turns.began_frame in (51, 52)


def test_a_part_of_a_frame_keeps_a_stream_to_itself() -> None:
    detector = SpeechDetector()
    assert detector.at_frame_start
    detector.feed(bytes(322))
    assert not detector.at_frame_start
    detector.feed(bytes(318))
    assert detector.at_frame_start
