"""What a stream leaves on disk: a WAV file that grows, one track or two, without ever holding the call up."""
