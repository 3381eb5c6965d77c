"""What streams run on, whoever dialled: everything put together, and the streams in progress."""
