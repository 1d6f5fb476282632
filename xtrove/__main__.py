"""`python -m xtrove` is the console script."""

from xtrove.cli import main

main()
