"""The page on which a customer answers a 3-D Secure question."""

from __future__ import annotations

from html import escape

PAGE = """<!doctype html>
<html lang="en">
<title>3-D Secure</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 4rem auto; }}
button {{ font: inherit; padding: .6rem 1.2rem; margin-right: 1rem; }}
</style>
<h1>Simulated bank</h1>
<p>Do you pay <strong>{amount_minor} {currency}</strong> (minor units)?</p>
<form method="post">
<button name="result" value="success">Yes, pay</button>
<button name="result" value="failure">No</button>
</form>
</html>
"""


def question(amount_minor: int, currency: str) -> str:
    """HTML with one button per answer."""
    return PAGE.format(amount_minor=amount_minor, currency=escape(currency))
