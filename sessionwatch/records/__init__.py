"""What was seen: plain values with no knowledge of SQLAlchemy, of ASGI or of any rule."""
