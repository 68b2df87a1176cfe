"""`paystream verify`: the invariants of the system, each checked against what the parts hold."""
