"""Source files to pairs of query and code."""
