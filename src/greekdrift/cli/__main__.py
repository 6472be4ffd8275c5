"""`python -m greekdrift.cli`."""

from greekdrift.cli import main

main()
