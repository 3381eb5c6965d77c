"""Decodes and delivers frames of many calls together that came at the same moment.

One numpy operation for all calls costs little more than one for a single call. So the frames of all calls are
unmasked, decoded, measured, and searched for digits and speech at once. Then each call's listeners get their frame
as they would get it alone.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import cast

import numpy as np

from mediaserver.audio.detection.dtmf import DtmfDetector, search_frames
from mediaserver.audio.detection.speech_detector import SpeechDetector, detect_speech
from mediaserver.audio.level.stream_meter import StreamMeter, measure_frames
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, Samples, from_bytes, to_bytes
from mediaserver.call.inbound.keypad import Keypad
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.playout.sources.source import SOURCE_FAULTS
from mediaserver.wire import websocket
from mediaserver.wire.events import Audio, FrameLevels
from mediaserver.wire.frame_layout import FrameLayout

# The digits that were found in a frame, None if it was not searched, and whether a key was held down at its end.
Key = tuple[str | None, bool]
_NO_KEY: Key = "", False
_NOT_SEARCHED: Key = None, False


def deliver_batch(
    receivers: Sequence[Receiver], messages: Sequence[bytes], clock: Callable[[], float] = time.monotonic
) -> None:
    """Deliver one frame to each receiver, and several frames to a receiver that is listed several times.

    Each message is a whole WebSocket message as it came, of a client (masked) or of a server (unmasked), whose
    payload holds one frame.
    """
    at = clock()
    if len(set(receivers)) < len(receivers):
        for rows in _rounds(receivers):
            _deliver_each([receivers[n] for n in rows], [messages[n] for n in rows], at)
    elif receivers:
        _deliver_each(receivers, messages, at)


def _rounds(receivers: Sequence[Receiver]) -> Sequence[Sequence[int]]:
    """The indices of the receivers' first frames, those of their second frames, and so on.

    A detector takes one frame at a time, because what it finds in a frame depends on the frame before.
    """
    counts: dict[Receiver, int] = {}
    rounds: list[list[int]] = []
    for n, receiver in enumerate(receivers):
        earlier = counts.get(receiver, 0)
        counts[receiver] = earlier + 1
        if earlier == len(rounds):
            rounds.append([])
        rounds[earlier].append(n)
    return rounds


def _deliver_each(receivers: Sequence[Receiver], messages: Sequence[bytes], at: float) -> None:
    """Deliver one frame to each receiver. No receiver may come twice."""
    layouts = [receiver.layout for receiver in receivers]
    # The header tells the size, and whether the message is masked.
    heads = [message[: websocket.HEADER_BYTES] for message in messages]
    # Usually all messages have the same layout and header.
    if layouts.count(layouts[0]) == len(layouts) and heads.count(heads[0]) == len(heads):
        _deliver_alike(layouts[0], receivers, messages, at)
        return
    groups: dict[tuple[FrameLayout | None, bytes], list[int]] = {}
    for n, key in enumerate(zip(layouts, heads, strict=True)):
        groups.setdefault(key, []).append(n)
    for (layout, _), rows in groups.items():
        _deliver_alike(layout, [receivers[n] for n in rows], [messages[n] for n in rows], at)


def _deliver_alike(
    layout: FrameLayout | None, receivers: Sequence[Receiver], messages: Sequence[bytes], at: float
) -> None:
    """Deliver frames whose messages all have the same header and are expected to have the same layout."""
    payloads = websocket.payloads(messages)
    alike = layout.matches(payloads) if layout is not None else [False] * len(receivers)
    if not all(alike):
        # Some messages have the right size, but not the layout. All messages of their streams are decoded singly.
        others = {receiver for receiver, matches in zip(receivers, alike, strict=True) if not matches}
        rest = [n for n, receiver in enumerate(receivers) if receiver not in others]
        for receiver, payload in zip(receivers, payloads, strict=True):
            if receiver in others:
                receiver.depacketize(payload.tobytes())
        receivers, payloads = [receivers[n] for n in rest], payloads[rest]
    if layout is not None and receivers:
        for receiver in receivers:
            if receiver.irregular:
                receiver.irregular = False
                receiver.measure_jitter(at)
            receiver.batched += 1
        _deliver_samples(receivers, layout.decode(payloads), [False] * len(receivers))


def deliver_frames(receivers: Sequence[Receiver], frames: Sequence[Audio]) -> None:
    """Deliver one frame to each receiver, of 320 bytes of PCM, which is counted already. None may come twice."""
    samples = from_bytes(b"".join([frame.pcm for frame in frames])).reshape(len(frames), FRAME_SAMPLES)
    _deliver_samples(receivers, samples, [frame.concealed for frame in frames])


def _deliver_samples(receivers: Sequence[Receiver], samples: Samples, concealed: Sequence[bool]) -> None:
    """Deliver a frame to each receiver; `samples` has shape (n, 160). No receiver may come twice."""
    levels = FrameLevels(samples)
    keys: Mapping[int, Key] = {}
    fed: Sequence[Sequence[SpeechDetector]] = [()] * len(receivers)
    happened: Collection[int] = ()
    if True in [receiver.searched for receiver in receivers]:
        keys = _search(receivers, samples)
        fed, happened = _feed(receivers, samples, levels, keys)
    called = [n for n, receiver in enumerate(receivers) if receiver.takes_all or n in happened]
    pcm = to_bytes(samples) if called else b""
    for n in called:
        receiver, start = receivers[n], n * FRAME_BYTES
        frame = pcm[start : start + FRAME_BYTES]
        listeners = receiver.listeners if n in happened else receiver.constant_listeners
        digits, held = keys.get(n, _NO_KEY) if receiver.dtmf_row >= 0 else _NOT_SEARCHED
        if receiver.awaits_sound:
            receiver.push_event(Audio(frame, concealed[n], digits, held, levels, n, fed[n]))
            continue
        try:
            for on_pcm in receiver.pcm_listeners:
                on_pcm(frame)
            if listeners:
                audio = Audio(frame, concealed[n], digits, held, levels, n, fed[n])
                for listener in listeners:
                    listener(audio)
        except SOURCE_FAULTS as error:  # one stream's fault must not reach the others
            receiver.on_listener_error(error)


def _search(receivers: Sequence[Receiver], samples: Samples) -> Mapping[int, Key]:
    """Search the frames of all streams that have a DTMF detector: what `search_frames` finds, by frame."""
    at = np.array([receiver.dtmf_row for receiver in receivers], np.intp)
    searched = (at >= 0).nonzero()[0]
    if len(searched) == len(at):
        return search_frames(lambda n: _detector_of(receivers[n]), at, samples)
    if not len(searched):
        return {}
    rows = searched.tolist()
    found = search_frames(lambda n: _detector_of(receivers[rows[n]]), at[searched], samples[searched])
    return {rows[n]: key for n, key in found.items()}


def _detector_of(receiver: Receiver) -> DtmfDetector:
    """The DTMF detector of a receiver that has one, as its `dtmf_row` tells."""
    keypad = cast("Keypad", receiver.keypad)
    return cast("DtmfDetector", keypad.detector)


def _feed(
    receivers: Sequence[Receiver], samples: Samples, levels: FrameLevels, keys: Mapping[int, Key]
) -> tuple[Sequence[Sequence[SpeechDetector]], Collection[int]]:
    """Feed each frame to the speech detectors and the meters of its receiver, each kind in one operation.

    Returns, for each receiver, the detectors that were fed. If a detector is not at the start of a frame, its
    receiver's detectors and meters are not fed: the receiver's listeners feed them. Returns also the receivers to
    all of whose listeners the frame is to be delivered, by their indices.
    """
    fed: list[Sequence[SpeechDetector]] = [receiver.speech_detectors for receiver in receivers]
    of_each: list[Sequence[StreamMeter]] = [receiver.meters for receiver in receivers]
    happened = set(keys)
    for n, of_one in enumerate(fed):
        for detector in of_one:
            if not detector.at_frame_start:
                fed[n] = of_each[n] = ()
                happened.add(n)
    detectors = [detector for of_one in fed for detector in of_one]
    if detectors:
        rows, at = _rows(fed, len(detectors))
        tones = [n in keys and keys[n][1] for n in rows] if keys else [False] * len(detectors)
        happened.update([rows[n] for n in detect_speech(detectors, samples[at], levels.powers[at], tones)])
    meters = [meter for of_one in of_each for meter in of_one]
    if meters:
        rows, at = _rows(of_each, len(meters))
        happened.update([rows[n] for n in measure_frames(meters, samples[at], levels.energies[at])])
    return fed, happened


def _rows(of_each: Sequence[Sequence[object]], count: int) -> tuple[Sequence[int], Sequence[int] | slice]:
    """Of `count` things in all, the receiver of each; and what takes these receivers' rows out of an array.

    Usually each receiver has one. Then no row has to be copied.
    """
    if count == len(of_each) and () not in of_each:
        return range(count), slice(None)
    rows = [n for n, of_one in enumerate(of_each) for _ in of_one]
    return rows, rows
