"""The extensions by which sound files are known, and how long a sound file may be."""

LINEAR = {".pcm", ".raw", ".sln"}
MULAW = {".ulaw", ".ul", ".mulaw"}
ALAW = {".alaw", ".al"}
WAVE = {".wav", ".wave"}
FFMPEG = {
    *(".mp3", ".ogg", ".oga", ".opus", ".flac", ".m4a", ".aac", ".mp4", ".webm", ".wma"),
    *(".aiff", ".aif", ".aifc", ".au", ".amr", ".gsm", ".caf", ".mka"),
}
EXTENSIONS = LINEAR | MULAW | ALAW | WAVE | FFMPEG
LONGEST = 7200.0  # seconds of sound in one file, the default of the setting `prompts.longest`
