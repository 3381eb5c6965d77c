"""Child processes for heavy work: decoding, TTS, STT. In a thread, such work would hold the interpreter lock, and
delay calls.

The standard library's process pool is not used: when one of its workers dies, the work of all others is lost; the
pool may hang its own process at exit; and it unpickles what a worker answers.
"""
