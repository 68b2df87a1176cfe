"""`python -m devstack.cli`: the same as `paystream`."""

from devstack.cli.app import main

main()
