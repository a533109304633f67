"""Modules that the lab can't use, each for a reason of its own."""
