"""The deliberate differences of the node from go-libp2p-pubsub of May 2024, the reference.

Each entry: what the reference does, and after the arrow what happens here. Everything else is meant to be equal. What
later versions of the reference do is an option, named with its year where it is described (`GossipsubParams`), and no
difference.

Frames

a hello is one RPC, and one that is larger than a frame has the stream of every newcomer reset
      -> it is cut into as many RPCs as it takes; none of them is lost to a full queue
a large RPC that is cut loses its IDONTWANT, the GRAFTs and PRUNEs of all lost pieces but the last, and a PRUNE that offers
more peers than fit
      -> all are kept; a PRUNE is cut between the peers it offers
a topic with a name that fits into no frame, or is no UTF-8, can be joined, and nobody ever hears of it
      -> OptionError when it is joined

Options

messages without an author all have the same id, unless there is another message id function; all but the first are lost
as duplicates
      -> OptionError when the options are made, and if messages without an author are to be signed or judged by their
      sequence number
a mesh may have degrees that contradict each other: with D below Dlo everybody is grafted
      -> OptionError unless Dlo <= D <= Dhi and Dout <= Dhi
a back-off of more than a day can be asked for, and an endless one is none
      -> OptionError for ours; of a peer's a day is honoured

Messages

the content of a publish that fails, or whose caller goes, counts as seen: published again, it returns an id and nothing is
sent
      -> it is judged anew; a second publish of what is being judged waits for the verdict
a validator's answer is a number, of which 0 accepts
      -> a Verdict, True or False (NumPy's, too); any other number is ignored with a warning, as false and 0 are equal

Peers

a peer that unsubscribes without a PRUNE stays in the mesh, is sent everything and gains score for ever
      -> it leaves mesh and fanout at once; of its score in the topic stays what is held against it
a GRAFT or PRUNE that a full queue refused is sent by the next heartbeat, whether it still holds or not
      -> only if it does, as when it rides on another RPC
a PRUNE of a peer that is not in the mesh is traced, and counts its deficit of deliveries again
      -> it sets the back-off, and no more
a GRAFT that is refused several times in one RPC is answered as often
      -> once; it costs as many penalties
a peer may announce any number of topics, and a topic that all have left is kept
      -> as many as fit into `HostParams.announced_frames` of the largest RPCs, with a warning; it is forgotten (2025)
a peer without streams may stay in meshes
      -> nothing is kept of it (2026)
tables of messages that are gone hold their ids, however long
      -> at most 64 bytes of an id: a digest of a long one
"""
