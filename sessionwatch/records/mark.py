"""What the user of a session may write into `session.info["sessionwatch"]`."""

LONG_LIVED = "long-lived"
"""The session is to stay open beyond its request, or for long without a statement."""
AUDIT = "audit"
"""The session records what happens, whatever becomes of the work that it happens in."""
MARKS = (LONG_LIVED, AUDIT)
