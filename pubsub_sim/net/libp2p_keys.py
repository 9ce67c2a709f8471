"""Key files: the identity of a node, kept from one of its lives to the next as libp2p marshals private keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pubsub_sim.errors import OptionError
from pubsub_sim.ids import PeerId, public_key_of
from pubsub_sim.libp2p.errors import Libp2pError
from pubsub_sim.libp2p.keys import marshal_private_key, seed_of_private_key

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_BYTES = 4096


def read_key(path: Path) -> bytes:
    """The 32 bytes of seed in a key file.

    Raises:
        OptionError: it cannot be read, or is none.
    """
    try:
        with path.open("rb") as file:
            return seed_of_private_key(file.read(_LONGEST_BYTES))
    except (OSError, Libp2pError) as error:
        raise OptionError("key", str(path), f"a key file ({error})") from None


def write_key(path: Path, seed: bytes, peer_id: PeerId) -> None:
    """Write a new key file that only its owner may read.

    Raises:
        OptionError: it cannot be written, or is there already.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(marshal_private_key(seed, public_key_of(peer_id)))
    except OSError as error:
        raise OptionError("key", str(path), f"a place for a new key file ({error})") from None
