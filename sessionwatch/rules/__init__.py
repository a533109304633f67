"""One rule per code: a settled owner in, findings out; no input or output, no clock."""
