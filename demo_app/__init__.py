"""A small shop on FastAPI and SQLAlchemy, to learn sessions with.

Read it in this order: `database` (engine, session factory, dependency), `models`, `routes`,
`application`, and `variants`: eight ways to write the dependency, most of them wrong.
"""
