"""Which files are sound, by their extensions."""

LINEAR = {".pcm", ".raw", ".sln"}
MULAW = {".ulaw", ".ul", ".mulaw"}
ALAW = {".alaw", ".al"}
WAVE = {".wav", ".wave"}
FFMPEG = {
    *(".mp3", ".ogg", ".oga", ".opus", ".flac", ".m4a", ".aac", ".mp4", ".webm", ".wma"),
    *(".aiff", ".aif", ".aifc", ".au", ".amr", ".gsm", ".caf", ".mka"),
}
EXTENSIONS = LINEAR | MULAW | ALAW | WAVE | FFMPEG
