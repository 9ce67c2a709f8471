"""The deliberate differences of the node from go-libp2p-pubsub of May 2024, the reference.

Each entry states the behaviour of the reference and, after the arrow, the behaviour here. Everything else is intended to be
equal. Behaviour of later versions of the reference is available as options, marked with the year (`GossipsubParams`).

Frames

a hello is one RPC; if it is larger than a frame, the stream of every new peer is reset
      -> it is split into as many RPCs as needed; none of them is lost to a full queue
a large RPC that is split loses its IDONTWANT, the GRAFTs and PRUNEs of all lost pieces but the last, and a PRUNE that offers
more peers than fit
      -> all are kept; a PRUNE is split between the peers it offers
a topic whose name fits into no frame, or is not UTF-8, can be joined, but is never announced
      -> OptionError on joining

Options

messages without an author all have the same id, unless there is another message id function; all but the first are lost
as duplicates
      -> OptionError on creating the options; likewise if messages without an author are to be signed or validated by their
      sequence number
a mesh may have contradictory degrees: with D below Dlo all peers are grafted
      -> OptionError unless Dlo <= D <= Dhi and Dout <= Dhi
a back-off of more than a day can be requested, and an endless one is ignored
      -> OptionError for the host's own; a peer's is limited to a day

Messages

a message whose publish fails or is cancelled counts as seen: published again, it returns an id and nothing is sent
      -> it is validated again; a second publish of a message under validation waits for the verdict
a validator returns a number, of which 0 accepts
      -> a Verdict, True or False (including NumPy's); any number is ignored with a warning, as false and 0 are equal

Peers

a peer that unsubscribes without a PRUNE stays in the mesh, receives all messages and gains score for ever
      -> it is removed from mesh and fanout at once; only the negative parts of its score in the topic are kept
a GRAFT or PRUNE refused by a full queue is sent by the next heartbeat, even if it is no longer valid
      -> only if it is still valid, as when it is sent with another RPC
a PRUNE of a peer that is not in the mesh is traced, and counts its deficit of deliveries again
      -> it only sets the back-off
repeated refusals of a GRAFT in one RPC are all answered
      -> one answer; each refusal costs a penalty
a peer may announce any number of topics, and a topic that all peers have left is kept
      -> as many as fit into `HostParams.announced_frames` RPCs of maximal size, with a warning; an empty topic is removed (2025)
a peer without streams may stay in meshes
      -> it is removed completely (2026)
tables of past messages store ids of any length
      -> at most 64 bytes of an id: a digest of a long one
"""
