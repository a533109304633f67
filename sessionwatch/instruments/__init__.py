"""The only code that touches the hooks of SQLAlchemy and ASGI."""
