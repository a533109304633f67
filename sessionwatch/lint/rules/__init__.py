"""The static rules, one module each, named by its code."""
