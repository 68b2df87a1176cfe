"""Starts the local stack, keeps it running, stops it: `run_up(UpOptions(...))`, or `Stack`."""

from devstack.supervisor.options import UpOptions
from devstack.supervisor.stack import CANNOT_START, Stack, run_up

__all__ = ["CANNOT_START", "Stack", "UpOptions", "run_up"]
