"""What may happen to a server, one thing at a time, and what its figures are held to meanwhile."""
