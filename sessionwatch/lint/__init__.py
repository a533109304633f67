"""Static findings, from the source alone: the code under check is never imported."""
