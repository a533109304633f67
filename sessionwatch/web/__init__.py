"""The `/debug/sessions` endpoint."""
