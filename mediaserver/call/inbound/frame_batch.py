"""Decodes and delivers frames of many calls together that came at the same moment.

One numpy operation for all calls costs little more than one for a single call. So the frames of all calls are
unmasked, decoded, measured, and searched for digits and speech at once. Then each call's listeners get their frame
as they would get it alone.
"""

import time
from collections.abc import Callable, Sequence

from mediaserver.audio.detection.dtmf import DtmfDetector, detect_digits
from mediaserver.audio.detection.speech_detector import SpeechDetector, detect_speech
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, Samples, from_bytes, to_bytes
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.playout.sources.source import SOURCE_FAULTS
from mediaserver.wire import websocket
from mediaserver.wire.events import Audio, FrameLevels
from mediaserver.wire.frame_layout import FrameLayout


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
    else:
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
    layouts = [receiver.wire.inbound.layout for receiver in receivers]
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
            inbound = receiver.wire.inbound
            if receiver.irregular:
                receiver.irregular = False
                inbound.measure_jitter(at)
            inbound.samples += FRAME_SAMPLES
        _deliver_samples(receivers, layout.decode(payloads), [False] * len(receivers))


def deliver_frames(receivers: Sequence[Receiver], frames: Sequence[Audio]) -> None:
    """Deliver one frame to each receiver, of 320 bytes of PCM, which is counted already.

    A receiver that is listed several times gets several frames.
    """
    samples = from_bytes(b"".join([frame.pcm for frame in frames])).reshape(len(frames), FRAME_SAMPLES)
    concealed = [frame.concealed for frame in frames]
    for rows in _rounds(receivers):
        _deliver_samples([receivers[n] for n in rows], samples[rows], [concealed[n] for n in rows])


def _deliver_samples(receivers: Sequence[Receiver], samples: Samples, concealed: Sequence[bool]) -> None:
    """Deliver a frame to each receiver; `samples` has shape (n, 160). No receiver may come twice."""
    pcm, levels = to_bytes(samples), FrameLevels(samples)
    found, held = _detect(receivers, samples)
    fed = _feed_detectors(receivers, samples, levels, held)
    for n, receiver in enumerate(receivers):
        keypad, listeners = receiver.keypad, receiver.listeners_without_keypad
        if keypad is not None and (found[n] != "" or keypad.dtmf_active):
            listeners = receiver.listeners
        pcm_listeners, awaits_sound = receiver.pcm_listeners, receiver.awaits_sound
        if not (listeners or pcm_listeners or awaits_sound):
            continue
        start = n * FRAME_BYTES
        frame = pcm[start : start + FRAME_BYTES]
        if awaits_sound:
            receiver.push_event(Audio(frame, concealed[n], found[n], held[n], levels, n, fed[n]))
            continue
        try:
            for on_pcm in pcm_listeners:
                on_pcm(frame)
            if listeners:
                audio = Audio(frame, concealed[n], found[n], held[n], levels, n, fed[n])
                for listener in listeners:
                    listener(audio)
        except SOURCE_FAULTS as error:  # one stream's fault must not reach the others
            receiver.on_listener_error(error)


def _detect(receivers: Sequence[Receiver], samples: Samples) -> tuple[Sequence[str | None], Sequence[bool]]:
    """The digits that each stream's DTMF detector finds in its frame, and whether a key is held down then.

    The digits are None for a stream without a detector.
    """
    detectors = [receiver.keypad.detector if receiver.keypad is not None else None for receiver in receivers]
    if None not in detectors:
        return detect_digits([detector for detector in detectors if detector is not None], samples)
    found: list[str | None] = [None] * len(receivers)
    held = [False] * len(receivers)
    rows: list[int] = []
    listening: list[DtmfDetector] = []
    for n, detector in enumerate(detectors):
        if detector is not None:
            rows.append(n)
            listening.append(detector)
    if rows:
        for n, digits, holding in zip(rows, *detect_digits(listening, samples[rows]), strict=True):
            found[n], held[n] = digits, holding
    return found, held


def _feed_detectors(
    receivers: Sequence[Receiver], samples: Samples, levels: FrameLevels, held: Sequence[bool]
) -> Sequence[Sequence[SpeechDetector]]:
    """Feed each frame to the speech detectors of its receiver, all in one operation.

    Returns, for each receiver, the detectors that were fed. If a detector is not at the start of a frame, its
    receiver's detectors are not fed: the receiver's listeners feed them.
    """
    fed: list[Sequence[SpeechDetector]] = []
    detectors: list[SpeechDetector] = []
    rows: list[int] = []
    for n, receiver in enumerate(receivers):
        of_one = receiver.speech_detectors
        for detector in of_one:
            if not detector.at_frame_start:
                of_one = ()
        fed.append(of_one)
        for detector in of_one:
            detectors.append(detector)
            rows.append(n)
    if rows:
        powers = levels.powers
        if len(rows) != len(receivers) or len(set(rows)) != len(rows):
            samples, powers, held = samples[rows], powers[rows], [held[n] for n in rows]
        detect_speech(detectors, samples, powers, held)
    return fed
