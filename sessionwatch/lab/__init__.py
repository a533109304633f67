"""The lab: runs the classic `get_db` variants for real and checks every verdict of the watch.

Read it in the order the data flows: `scenarios` says what is asked of a server, `worker` is that
server (one process, one `cell` at a time), `evidence` and `testimony` hold what the database and
the pool say beside what the watch says, `verdict` compares the two, `quiz` answers the five
questions, and `report` is the plain value that the terminal or `--json` prints.
"""
