"""`python -m longshore`: the same as the command `longshore`."""

from longshore.cli.main import main

main()
