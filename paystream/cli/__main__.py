"""`python -m paystream.cli`: the same as `paystream`."""

from paystream.cli.app import main

main()
