"""PCM maths: pure functions on samples. Knows no files, sockets or clocks."""
