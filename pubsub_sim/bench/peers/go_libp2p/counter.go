package main

import (
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// counter counts RPCs with messages, of all hosts together: two additions per RPC. One is sent when it is queued.
type counter struct {
	ignore
	sent     atomic.Int64
	received atomic.Int64
}

// SendRPC is told of each RPC to a peer.
func (c *counter) SendRPC(rpc *pubsub.RPC, _ peer.ID) {
	if len(rpc.GetPublish()) > 0 {
		c.sent.Add(1)
	}
}

// RecvRPC is told of each RPC from a peer.
func (c *counter) RecvRPC(rpc *pubsub.RPC) {
	if len(rpc.GetPublish()) > 0 {
		c.received.Add(1)
	}
}

// settle waits until all RPCs sent have been received and nobody has sent another meanwhile.
func (c *counter) settle() {
	for last := int64(-1); ; time.Sleep(poll) {
		sent := c.sent.Load()
		if sent == last && sent == c.received.Load() {
			return
		}
		last = sent
	}
}

// ignore hears all other events of a tracer.
type ignore struct{}

func (ignore) OnNewOutboundStream(peer.ID, protocol.ID)             {}
func (ignore) OnClosedOutboundStream(peer.ID)                       {}
func (ignore) Join(string)                                          {}
func (ignore) Leave(string)                                         {}
func (ignore) Graft(peer.ID, string)                                {}
func (ignore) Prune(peer.ID, string)                                {}
func (ignore) ValidateMessage(*pubsub.Message)                      {}
func (ignore) DeliverMessage(*pubsub.Message)                       {}
func (ignore) RejectMessage(*pubsub.Message, string)                {}
func (ignore) DuplicateMessage(*pubsub.Message)                     {}
func (ignore) ThrottlePeer(peer.ID)                                 {}
func (ignore) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}
func (ignore) DropRPC(*pubsub.RPC, peer.ID)                         {}
func (ignore) UndeliverableMessage(*pubsub.Message)                 {}
