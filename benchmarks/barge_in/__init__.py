"""What stops a prompt that speech may stop: how soon a voice, how often noise, tones, music and echo."""
