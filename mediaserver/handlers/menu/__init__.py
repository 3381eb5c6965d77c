"""`menu`: an IVR. Its settings, checked as a whole, and what happens on a call."""
