"""The seeded chance of a host: the generator of the standard library, with a shuffle that costs half as much."""

from __future__ import annotations

import random
from typing import Any


class Chance(random.Random):
    """A `random.Random` that draws the same numbers for everything."""

    def shuffle(self, x: Any) -> None:
        """Shuffle in place as the standard library does (CPython's `Random.shuffle`), without two calls for each place."""
        draw = self.getrandbits
        for place in range(len(x) - 1, 0, -1):
            bits = (place + 1).bit_length()
            other = draw(bits)
            while other > place:
                other = draw(bits)
            x[place], x[other] = x[other], x[place]
