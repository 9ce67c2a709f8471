"""The states of the simulator's machines: 14 for the root, 17 for a peer, 4 for a topic; `Exception` comes first by default.

Names and relations are those of the simulator of go-libp2p-pubsub-benchmark. Differences have a comment.
"""

from __future__ import annotations

from asyncmachine import Schema, State


class RootStates(Schema):
    """The whole network. All states except Start are pulses: their handlers remove them again."""

    Start = State()
    Heartbeat = State(require=Start)
    AddPeer = State(require=Start)
    RemovePeer = State(require=Start, multi=True)  # peers may fail together
    AddTopic = State(require=Start)
    RemoveTopic = State(require=Start)
    PeakRandTopic = State(require=Start)
    AddRandomFriend = State(require=Start)
    GC = State(require=Start)
    JoinRandomTopic = State(require=Start)
    JoinFriendsTopic = State(require=Start)
    MsgRandomTopic = State(require=Start)
    VerifyMsgsRecv = State(require=Start, multi=True)  # several peers may have sent at the same time
    RefreshMetrics = State(require=Start)


class PeerStates(Schema):
    """One peer: its identity, its connection (in one of three states, or in none), its topics and its messages."""

    Start = State()
    IsDHT = State(require=Start)
    Ready = State(auto=True, require=(Start, "Connected"))
    IdentityReady = State(require=Start, remove="GenIdentity")
    GenIdentity = State(auto=True, require=Start, remove=IdentityReady)
    BootstrapsConnected = State(require="Connected")
    EventHostConnected = State(
        multi=True, require=Start, add=IsDHT
    )  # called with Connected, which as an implied state would be removed by Connecting
    Connected = State(require=Start, remove=("Connecting", "Disconnecting"))
    Connecting = State(auto=True, require=(Start, IdentityReady), remove=(Connected, "Disconnecting"))
    Disconnecting = State(remove=(Connected, Connecting, BootstrapsConnected), add="FwdToSim")
    JoiningTopic = State(multi=True, require=Connected)
    LeavingTopic = State(multi=True, require=Connected)
    SendingMsgs = State(multi=True, require=Connected)
    TopicJoined = State(multi=True, require=Connected, add="FwdToSim")
    TopicLeft = State(multi=True, require=Connected, add="FwdToSim")
    MsgsSent = State(multi=True, require=Connected, add="FwdToSim")
    FwdToSim = State(multi=True)  # Multi, or the root would miss the second of two events


class TopicStates(Schema):
    """One topic: whether it has peers, messages, and its maximal number of peers."""

    Stale = State(auto=True)
    HasPeers = State()
    Active = State(remove=Stale)
    Peaking = State(remove=Stale, require=HasPeers)
