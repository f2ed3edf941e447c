"""`python -m breeder` is the `breeder` command."""

from breeder.cli import main

main()
