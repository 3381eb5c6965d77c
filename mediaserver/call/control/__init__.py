"""Who controls a call: its peer (Asterisk's channel, VoIPBIN's flow), its handler, and an operator's requests."""
