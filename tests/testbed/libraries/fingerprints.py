"""Prints the fingerprint of a bit of everything, for each pair: run by tests in processes of their own."""

from __future__ import annotations

import json

from .cases import mixture
from .pairs import PAIRS

if __name__ == "__main__":
    print(json.dumps({name: mixture(pair, tls=True).fingerprint for name, pair in PAIRS.items()}))
