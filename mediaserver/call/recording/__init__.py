"""Recording of a call to a WAV file that grows, mono or stereo. A slow or full disk never delays the call."""
