"""References that the simulated counterparties give."""

import hashlib

_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def letters_of(key: str, length: int) -> str:
    """Letters that follow from the key: digits could look like a card number.

    `length` is at most 64 characters.
    """
    return hashlib.sha256(key.encode()).hexdigest()[:length].translate(_LETTERS)
