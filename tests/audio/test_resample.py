"""Sample rate conversion frame by frame: the level is kept, without distortion, aliases or waiting."""

import numpy as np
import pytest

from mediaserver.audio.resample import FrameResampler, Resampler

RATES = [12_000, 16_000, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000]


def resampled(rate_in: int, rate_out: int, signal: np.ndarray) -> np.ndarray:
    resampler = FrameResampler(rate_in, rate_out)
    pcm, size = np.rint(signal).astype("<i2").tobytes(), resampler.frame_bytes_in
    frames = [resampler.feed(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    assert {len(frame) for frame in frames} == {resampler.frame_bytes_out}
    return np.frombuffer(b"".join(frames), "<i2").astype(float)


def tone(rate: int, hz: float, seconds: float = 1.0) -> np.ndarray:
    return 16_000 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


def fit(signal: np.ndarray, rate: int, hz: float) -> tuple[float, float]:
    """Level in dB of a tone of 16 000, and its ratio in dB to all else."""
    signal = signal[len(signal) // 5 :]
    t = 2 * np.pi * hz * np.arange(len(signal)) / rate
    basis = np.c_[np.sin(t), np.cos(t)]
    parts = np.linalg.lstsq(basis, signal, rcond=None)[0]
    rest = signal - basis @ parts
    return 20 * np.log10(np.hypot(*parts) / 16_000), 10 * np.log10((signal**2).mean() / (rest**2).mean())


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hz", [300, 1004, 3000])
def test_a_tone_keeps_its_level_and_purity_both_ways(rate: int, hz: float) -> None:
    for rate_in, rate_out in ((8000, rate), (rate, 8000)):
        level, ratio = fit(resampled(rate_in, rate_out, tone(rate_in, hz)), rate_out, hz)
        assert abs(level) < 0.1
        assert ratio > 70


@pytest.mark.parametrize("rate", RATES[1:])
@pytest.mark.parametrize("hz", [4600, 6500])
def test_frequencies_above_4_khz_leave_no_aliases(rate: int, hz: float) -> None:
    heard = resampled(rate, 8000, tone(rate, hz))[1600:]
    assert np.sqrt((heard**2).mean()) < 16_000 * 10 ** (-60 / 20)


@pytest.mark.parametrize("rate", RATES)
def test_sound_is_delayed_by_2_ms(rate: int) -> None:
    click = np.zeros(1600)
    click[800] = 20_000
    made = resampled(8000, rate, click)
    assert np.argmax(np.abs(made)) / rate == pytest.approx(0.102, abs=0.0001)


def test_full_scale_is_clipped_and_does_not_wrap() -> None:
    square = np.where(np.arange(8000) // 8 % 2, 32767, -32768)
    made = resampled(8000, 16_000, square)
    assert made.max() == 32767
    assert made.min() == -32768
    assert (np.abs(np.diff(made)) < 65_535).all()


def test_a_frame_of_another_size_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^318 bytes are no frame of 320$"):
        FrameResampler(8000, 16_000).feed(bytes(318))


@pytest.mark.parametrize(("rate", "delay"), [(16_000, 64), (44_100, 178), (48_000, 192)])
def test_frame_sizes_and_delay_are_in_bytes(rate: int, delay: int) -> None:
    resampler = FrameResampler(rate, 8000)
    assert resampler.feed(bytes(rate // 50 * 2)) == bytes(resampler.frame_bytes_out) == bytes(320)
    assert resampler.delay_bytes_in == delay


@pytest.mark.parametrize(
    ("size", "frames"),
    [(16_000, 26), (16_320, 26), (16_576, 26), (16_578, 27), (16_579, 27), (16_639, 27), (1, 1), (0, 1)],
    ids=lambda each: str(each),
)
def test_flush_returns_all_that_was_fed_in_pieces(size: int, frames: int) -> None:
    """Frames of 640 bytes, of which the filter holds back 64."""
    pcm = np.rint(tone(16_000, 440)).astype("<i2").tobytes()[:size]
    resampler = Resampler(16_000)
    pieces = [resampler.feed(pcm[at : at + 138]) for at in range(0, size, 138)]
    assert len(b"".join(pieces)) == size // 640 * 320
    assert not any(len(piece) % 320 for piece in pieces)
    by_frame = FrameResampler(16_000, 8000)
    filled = (pcm[: size // 2 * 2] + bytes(1280))[: frames * 640]
    whole = b"".join(by_frame.feed(filled[at : at + 640]) for at in range(0, frames * 640, 640))
    assert b"".join(pieces) + resampler.flush() == whole
