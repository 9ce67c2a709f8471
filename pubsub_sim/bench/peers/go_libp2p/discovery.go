package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

const (
	topicName = "foobar"
	loopback  = "/ip4/127.0.0.1/tcp/0"
	poll      = time.Millisecond // between two looks whether everybody is there, or everything has come
)

// outcome is what a run did.
type outcome struct {
	rpcs        int64 // with messages, in the phase "rand msgs"
	connections int
	deliveries  int
	security    string
	muxer       string
}

// node is one host with its pubsub, topic and subscription.
type node struct {
	host         host.Host
	pubsub       *pubsub.PubSub
	topic        *pubsub.Topic
	subscription *pubsub.Subscription
}

// discovery plays the scenario once: hosts on loopback TCP, all connected, then one message at a time to everybody.
func discovery(ctx context.Context, spec specification, phases *phases) (outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rpcs := &counter{}
	nodes := make([]*node, 0, spec.Hosts)
	defer func() {
		for _, n := range nodes {
			n.host.Close()
		}
	}()
	phases.begin("init")
	for range spec.Hosts {
		n, err := newNode(ctx, spec.Sign == "strict", rpcs)
		if err != nil {
			return outcome{}, err
		}
		nodes = append(nodes, n)
	}
	phases.begin("subscribe")
	for _, n := range nodes {
		var err error
		if n.subscription, err = n.topic.Subscribe(); err != nil {
			return outcome{}, err
		}
	}
	phases.begin("barrier")
	if err := meet(ctx, nodes); err != nil {
		return outcome{}, err
	}
	phases.begin("first message")
	if err := flood(ctx, nodes[0], nodes, []byte("first message")); err != nil {
		return outcome{}, err
	}
	rpcs.settle()
	before := rpcs.sent.Load()
	phases.begin("rand msgs")
	rng := rand.New(rand.NewPCG(spec.Seed, 0))
	for i := range spec.Messages {
		publisher := nodes[rng.IntN(len(nodes))]
		if err := flood(ctx, publisher, nodes, fmt.Appendf(nil, "%d the flooooooood %d", i, i)); err != nil {
			return outcome{}, err
		}
	}
	rpcs.settle()
	phases.end()
	return ended(nodes, spec, rpcs.sent.Load()-before)
}

// newNode makes a host as go-libp2p makes them, but for one transport instead of five and Noise without its TLS.
func newNode(ctx context.Context, isSigned bool, rpcs *counter) (*node, error) {
	h, err := libp2p.New(
		libp2p.ListenAddrStrings(loopback),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.DisableRelay(),
	)
	if err != nil {
		return nil, err
	}
	policy := pubsub.StrictNoSign
	if isSigned {
		policy = pubsub.StrictSign
	}
	ps, err := pubsub.NewFloodSub(ctx, h, pubsub.WithMessageSignaturePolicy(policy), pubsub.WithRawTracer(rpcs))
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	topic, err := ps.Join(topicName)
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return &node{host: h, pubsub: ps, topic: topic}, nil
}

// meet connects all pairs, the later host dialling, and waits until every host knows every other's subscription.
func meet(ctx context.Context, nodes []*node) error {
	for number, n := range nodes {
		for _, other := range nodes[:number] {
			if err := n.host.Connect(ctx, peer.AddrInfo{ID: other.host.ID(), Addrs: other.host.Addrs()}); err != nil {
				return err
			}
		}
	}
	for _, n := range nodes {
		for len(n.topic.ListPeers()) < len(nodes)-1 {
			time.Sleep(poll)
		}
	}
	return nil
}

// flood publishes and waits until every subscription has given that message and no other.
func flood(ctx context.Context, publisher *node, nodes []*node, payload []byte) error {
	if err := publisher.topic.Publish(ctx, payload); err != nil {
		return err
	}
	for number, n := range nodes {
		message, err := n.subscription.Next(ctx)
		if err != nil {
			return err
		}
		if !bytes.Equal(message.GetData(), payload) {
			return fmt.Errorf("host %d expected '%s', got '%s'", number, payload, message.GetData())
		}
	}
	return nil
}

// ended looks at what was connected, and how.
func ended(nodes []*node, spec specification, rpcs int64) (outcome, error) {
	done := outcome{rpcs: rpcs, deliveries: (spec.Messages + 1) * spec.Hosts}
	for _, n := range nodes {
		done.connections += len(n.host.Network().Peers())
	}
	done.connections /= 2
	if expected := spec.Hosts * (spec.Hosts - 1) / 2; done.connections != expected {
		return outcome{}, fmt.Errorf("expected %d connections, got %d", expected, done.connections)
	}
	state := nodes[0].host.Network().Conns()[0].ConnState()
	done.security, done.muxer = string(state.Security), string(state.StreamMultiplexer)
	return done, nil
}
