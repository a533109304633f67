"""The lab: runs the classic `get_db` variants for real and checks every verdict of the watch.

Read it in the order the data flows. `scenarios` says what is asked of a server. `runner` starts
a few `worker` processes and `measure` takes them from cell to cell: in the worker a `cell` serves
one variant (`stage`, `call_log`, `places`), outside a `client` asks. `evidence` and `testimony`
hold what the client, the call log, the pool and the database show beside what the watch says,
`verdict` compares the two, `summary` and `quiz` draw the conclusions, and `report` is the plain
value that a terminal or `--json` prints.
"""
