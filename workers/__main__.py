"""`python -m workers NAME --instance-id ID`."""

from workers.main import main

main()
