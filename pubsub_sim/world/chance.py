"""The seeded chance of a host: the generator of the standard library, with a shuffle that costs half as much."""

from __future__ import annotations

import random
from typing import Any


class Chance(random.Random):
    """A `random.Random` that draws the same numbers for everything."""

    def shuffle(self, x: Any) -> None:
        """Shuffle in place as the standard library does (CPython's `Random.shuffle`), without two calls for each place."""
        draw = self.getrandbits
        last = len(x) - 1
        while last > 0:
            bits = (last + 1).bit_length()  # of all places down to `first`
            first = max((1 << bits - 1) - 1, 1)
            for place in range(last, first - 1, -1):
                other = draw(bits)
                while other > place:
                    other = draw(bits)
                x[place], x[other] = x[other], x[place]
            last = first - 1
