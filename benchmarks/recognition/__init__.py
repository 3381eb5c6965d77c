"""How many words a recogniser (ASR) gets wrong on a telephone, and what that costs."""
