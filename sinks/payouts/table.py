"""How the entries of the table `payouts` are kept: with the version of their type."""

from sinks.payouts import state
from workers.state_codec import state_codec

PAYOUTS_TABLE = state_codec("payouts", state.Entry, state.encode, state.decode)
