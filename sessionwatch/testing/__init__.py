"""Test suites that fail when a session leaks: what the pytest plugin is made of."""
