#!/usr/bin/env bash
# MP3 of variable bit rate that an encoder writes into a pipe, as TTS servers do, has no Xing header with the number of
# frames: it could be written at the end only. One expects soundfile.read to read to the end of the file, as
# FFmpeg and miniaudio do.
# libsndfile estimates the length from the first frames' bit rate, and reads no further: of 10 seconds that begin
# with speech and go on more quietly it gives one or two, in read() and in blocks() alike. With the header all is there.
# Two files with headers, joined as TTS in pieces is joined, end behind the first; so they do for miniaudio.
# Who transcribes or mixes it gets the first words only, and no error is raised (mpg123 warns of joined files).
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check numpy==2.2.6 soundfile==0.14.0 av==18.1.0 miniaudio==1.71
"$T/v/bin/python" - 2> >(grep -v "mpg123\|^Warning: Xing" >&2) <<'E'
import io
import av, miniaudio, numpy as np, soundfile as sf
print("soundfile", sf.__version__, sf.__libsndfile_version__, "av", av.__version__)
print("expected: all 10 seconds, and all 20 of two files joined")

def mp3(rate, header):
    t = np.arange(10 * rate) / rate
    x = (np.where(t < 5, 8000, 60) * np.sin(2 * np.pi * 300 * t)).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="mp3", options={"write_xing": str(int(header)), "id3v2_version": "0"}) as out:
        stream = out.add_stream("libmp3lame", rate=rate)
        stream.layout, stream.codec_context.flags, stream.codec_context.global_quality = "mono", 2, 7 * 118  # -q:a 7
        frame = av.AudioFrame.from_ndarray(x[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler("s16p", "mono", rate, frame_size=stream.codec_context.frame_size)
        for each in (*resampler.resample(frame), *resampler.resample(None), None):
            for packet in stream.encode(each):
                out.mux(packet)
    return file.getvalue()

for rate, most in ((8000, 3), (16000, 2), (44100, 3)):
    for text, data, whole in (("with header", mp3(rate, True), 10), ("without", mp3(rate, False), 10), ("two with headers", mp3(rate, True) * 2, 20)):
        seconds = len(sf.read(io.BytesIO(data))[0]) / rate
        blocks = sum(map(len, sf.blocks(io.BytesIO(data), blocksize=1000))) / rate
        with av.open(io.BytesIO(data)) as got:
            ffmpeg = sum(frame.samples for frame in got.decode(audio=0)) / rate
        mini = miniaudio.decode(data, nchannels=1, sample_rate=rate).num_frames / rate
        print(f"seen: {rate} Hz, {text}: soundfile {seconds:.2f} s, FFmpeg {ffmpeg:.2f}, miniaudio {mini:.2f}")
        assert abs(ffmpeg - whole) < 0.4 and seconds == blocks
        assert (abs(seconds - whole) < 0.2) == (text == "with header")
        assert seconds < most if text == "without" else seconds < 10.1
        assert (mini < 10.3) and (mini > 9.9)
E
