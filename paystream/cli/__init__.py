"""The command line `paystream`: one file per command, joined in `app`."""

from paystream.cli.app import main

__all__ = ["main"]
