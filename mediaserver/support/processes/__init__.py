"""Child processes for heavy work: decoding, TTS and STT.

In a thread, such work would hold Python's global interpreter lock (GIL), and delay calls. The standard library's
process pool is not used, for three reasons: when one of its workers dies, the work of all others is lost; the pool
may hang its own process at exit; and it unpickles the workers' answers, which is unsafe.
"""
