"""Requests that act on live streams beside their handlers, such as to play a sound, and how a stream is named."""
