"""Where findings and snapshots go: readers only, without a verdict of their own."""
