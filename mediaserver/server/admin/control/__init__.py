"""The admin port's requests that act on a live stream while its handler runs, such as to play a sound."""
