"""`python -m sessionwatch` does what the `sessionwatch` script does."""

from sessionwatch.cli import main

if __name__ == "__main__":
    main(prog_name="sessionwatch")
