"""`python -m forecastle.cli` is the command `forecastle`."""

from . import main

main()
