"""The stages of a build: each a plain function from files to files, run by any worker."""
