"""A project of its own that the lab has never seen, as somebody might run it."""
