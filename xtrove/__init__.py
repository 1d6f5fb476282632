"""The hall: the command line and the conductor of the build."""
