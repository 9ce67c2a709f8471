"""Which of the reference's tests say nothing about this library, and why?"""

from __future__ import annotations

from typing import Final

VECTORS: Final = {"V63": "Require order ties are broken by definition order (Q-18), so B comes before the auto state C"}
"""Golden vectors whose outcome is decided otherwise here: name to reason."""
