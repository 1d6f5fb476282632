"""The command line and the build; the surface for programmers.

Takes commands and configs; runs the packages to the left.
"""
