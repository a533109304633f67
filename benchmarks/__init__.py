"""What watching costs: the same application, bare and watched, in processes that take turns."""
