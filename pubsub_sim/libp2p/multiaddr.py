"""Multiaddrs: self-describing addresses of peers, e.g. /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW...

Only TCP addresses are supported: an IP address or a host name, a TCP port, and optionally a peer id.
Source: libp2p/specs addressing, and the multiaddr protocol table.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Self

from pubsub_sim.errors import PeerIdError
from pubsub_sim.ids import PeerId, parse_peer_id, to_base58
from pubsub_sim.libp2p.errors import MultiaddrError, ProtocolViolation
from pubsub_sim.libp2p.varint import decode_varint, encode_varint

_IP4, _TCP, _IP6, _P2P = 4, 6, 41, 421
_DNS = {"dns": 53, "dns4": 54, "dns6": 55}
_DNS_NAMES = {code: name for name, code in _DNS.items()}
_LONGEST_NAME = 253  # of a host name
_LONGEST_BYTES = 1024


@dataclass(frozen=True)
class Multiaddr:
    """The address of a peer.

    Attributes:
        host: an IP address or a host name.
        port: the TCP port; 0 only for listening, where the system chooses one.
        peer: the peer id, or None.
        kind: "ip4", "ip6", or the kind of lookup of the host name: "dns", "dns4", "dns6".
    """

    host: str
    port: int
    peer: PeerId | None = None
    kind: str = "ip4"

    @classmethod
    def of(cls, host: str, port: int, peer: PeerId | None = None) -> Self:
        """Create a multiaddr from the IP address and port of a socket."""
        address = ip_address(host.partition("%")[0])
        return cls(str(address), port, peer, f"ip{address.version}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text form.

        Raises:
            MultiaddrError: it is invalid, or cannot be dialled over TCP.
        """
        if not isinstance(text, str):
            raise MultiaddrError(text, "it is not a string")
        parts = text.split("/")
        if len(parts) not in (5, 7) or parts[0]:
            raise MultiaddrError(text, "it has another form")
        kind, host, tcp, port = parts[1:5]
        if kind not in ("ip4", "ip6", *_DNS):
            raise MultiaddrError(text, f"/{kind} is none of /ip4, /ip6, /dns, /dns4 and /dns6")
        if tcp != "tcp":
            raise MultiaddrError(text, f"/{tcp} is not /tcp")
        if not (port.isascii() and port.isdecimal() and int(port[:6]) <= 0xFFFF):
            raise MultiaddrError(text, "the port is not a number from 0 to 65535")
        peer = None
        if len(parts) == 7:
            if parts[5] not in ("p2p", "ipfs"):
                raise MultiaddrError(text, f"/{parts[5]} is not /p2p")
            try:
                peer = parse_peer_id(parts[6])
            except PeerIdError as error:
                raise MultiaddrError(text, f"no usable peer id, {error}") from None
        return cls(_host(text, kind, host), int(port), peer, kind)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode the binary form.

        Raises:
            MultiaddrError: it is invalid, or cannot be dialled over TCP.
        """
        if len(data) > _LONGEST_BYTES:
            raise MultiaddrError(data[:40], f"it has more than {_LONGEST_BYTES} bytes")
        code, position = _number(data, 0)
        if code in _DNS_NAMES:
            kind = _DNS_NAMES[code]
            size, position = _number(data, position)
            raw = data[position : position + size]
            if not raw.isascii():
                raise MultiaddrError(data, "the host name is not ASCII")
            host = raw.decode()
        elif code in (_IP4, _IP6):
            size, kind = (4, "ip4") if code == _IP4 else (16, "ip6")
            raw = data[position : position + size]
            if len(raw) < size:
                raise MultiaddrError(data, "it ends in the IP address")
            host = str(IPv4Address(raw) if code == _IP4 else IPv6Address(raw))
        else:
            raise MultiaddrError(data, f"protocol {code} is neither an IP address nor a host name")
        code, position = _number(data, position + size)
        if code != _TCP or len(data) < position + 2:
            raise MultiaddrError(data, "there is no TCP port")
        port = int.from_bytes(data[position : position + 2], "big")
        position += 2
        peer = None
        if position < len(data):
            code, position = _number(data, position)
            if code != _P2P:
                raise MultiaddrError(data, f"protocol {code} is not a peer id")
            size, position = _number(data, position)
            if position + size != len(data):
                raise MultiaddrError(data, "the peer id has a wrong length")
            peer = PeerId(data[position:])
        return cls(_host(data, kind, host), port, peer, kind)

    def encode(self) -> bytes:
        """Return the binary form."""
        if self.kind == "ip4":
            host = encode_varint(_IP4) + IPv4Address(self.host).packed
        elif self.kind == "ip6":
            host = encode_varint(_IP6) + IPv6Address(self.host).packed
        else:
            name = self.host.encode()
            host = encode_varint(_DNS[self.kind]) + encode_varint(len(name)) + name
        tcp = encode_varint(_TCP) + self.port.to_bytes(2, "big")
        if self.peer is None:
            return host + tcp
        return host + tcp + encode_varint(_P2P) + encode_varint(len(self.peer)) + self.peer

    def of_peer(self, peer: PeerId | None) -> Multiaddr:
        """Return the same address with this peer id."""
        return Multiaddr(self.host, self.port, peer, self.kind)

    @property
    def is_loopback(self) -> bool:
        """Whether it is a loopback address."""
        return self.kind in ("ip4", "ip6") and ip_address(self.host).is_loopback

    def __str__(self) -> str:
        place = f"/{self.kind}/{self.host}/tcp/{self.port}"
        return place if self.peer is None else f"{place}/p2p/{to_base58(self.peer)}"


def _host(value: str | bytes, kind: str, host: str) -> str:
    """Return the normalised host: an IP address in canonical form, a name unchanged."""
    try:
        if kind == "ip4":
            return str(IPv4Address(host))
        if kind == "ip6":
            return str(IPv6Address(host))
    except ValueError:
        raise MultiaddrError(value, f"{host!r} is not an address of /{kind}") from None
    if not host or len(host) > _LONGEST_NAME or "/" in host or not host.isascii() or not host.isprintable():
        raise MultiaddrError(value, f"{host!r} is not a host name")
    return host


def _number(data: bytes, position: int) -> tuple[int, int]:
    try:
        found = decode_varint(data, position)
    except ProtocolViolation as error:
        raise MultiaddrError(data, str(error)) from None
    if found is None:
        raise MultiaddrError(data, "it is truncated")
    return found
