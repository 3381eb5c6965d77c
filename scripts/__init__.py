"""What developers run by hand, or by `make`."""
