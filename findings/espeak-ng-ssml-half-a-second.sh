#!/usr/bin/env bash
# SSML 1.1: a pause is a number with its unit, as in CSS 2, "500ms" and "0.5s" alike (3.2.3); a volume goes up or down by
# decibels, "+6dB" (3.2.4); and SSML is XML, so that a text may stand in <![CDATA[...]]>. One expects espeak-ng to know
# them, or to raise an error: its documentation has break with a time, and volumes such as "+1dB".
# A pause of "0.5s", "1.5s" or "2.0s" is none; "500ms" and "2s" are right. "+6dB" is louder by half a decibel, as "+6%"
# is, and "-20dB" softer by two. Text in CDATA is not spoken. No error comes.
# A menu has its choices in one breath, a warning is no louder than the rest, and a text is not heard at all.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check espeakng-loader==0.2.4 numpy==2.2.6
"$T/v/bin/python" - <<'E'
import ctypes
import espeakng_loader, numpy as np
engine, sound = ctypes.CDLL(espeakng_loader.get_library_path()), []

@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
def take(samples, count, events):
    if samples and count > 0:
        sound.append(np.ctypeslib.as_array(samples, (count,)).copy())
    return 0

RETRIEVAL, POSITION_CHARACTER, UTF8, SSML = 1, 1, 1, 0x10  # speak_lib.h
rate = engine.espeak_Initialize(RETRIEVAL, 0, espeakng_loader.get_data_path().encode(), 0)
engine.espeak_Info.restype = ctypes.c_char_p
print("espeak-ng", engine.espeak_Info(None).decode())
print("expected: pauses as long as they say, 6 dB for +6dB, and the words in CDATA")
engine.espeak_SetSynthCallback(take)
engine.espeak_SetVoiceByName(b"en")

def say(ssml):
    sound.clear()
    data = f"<speak>{ssml}</speak>".encode()
    assert engine.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, POSITION_CHARACTER, 0, UTF8 | SSML, None, None) == 0
    engine.espeak_Synchronize()
    return np.concatenate(sound).astype(float)

def pause(x):
    """The longest silence between the first sound and the last, in milliseconds."""
    heard = np.nonzero(abs(x) >= 40)[0]
    return int(np.diff(heard).max() * 1000 / rate)

none = pause(say("one<break time='0ms'/>two"))
for time, seen in (("500ms", 500), ("2s", 2000), ("1500ms", 1500), ("0.5s", 0), ("1.5s", 0), ("2.0s", 0)):
    got = pause(say(f"one<break time='{time}'/>two")) - none
    print(f"seen: {time} is {got} ms")
    assert abs(got - seen) < 20
level = lambda x: 20 * np.log10(np.sqrt((x ** 2).mean()))
plain = level(say("this is a test"))
for volume, seen in (("+6dB", 0.45), ("+6%", 0.45), ("-20dB", -2), ("loud", 3.5)):
    got = level(say(f"<prosody volume='{volume}'>this is a test</prosody>")) - plain
    print(f"seen: {volume} is {got:+.2f} dB")
    assert abs(got - seen) < 0.3
for text, seen in (("one two", True), ("<![CDATA[one two]]>", False)):
    x = say(text)
    print(f"seen: {text}: {len(x) / rate:.2f} s, {'spoken' if abs(x).max() > 1000 else 'silence'}")
    assert (abs(x).max() > 1000) == seen
E
