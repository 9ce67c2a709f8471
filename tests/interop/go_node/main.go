// A go-libp2p-pubsub node that the interoperability tests control. Commands are lines on stdin, events are JSON objects on
// stdout, one per line. It ends when stdin closes.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/insecure"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"
)

const queue = 4096 // of every queue that drops when it is full: what is tested is the protocol, not the load

type event map[string]any

var printing sync.Mutex

func tell(name string, facts event) {
	if facts == nil {
		facts = event{}
	}
	facts["event"] = name
	line, err := json.Marshal(facts)
	if err != nil {
		panic(err)
	}
	printing.Lock()
	defer printing.Unlock()
	os.Stdout.Write(append(line, '\n'))
}

// tracer tells of what decides whether a message arrives.
type tracer struct{ controls sync.Map }

func (t *tracer) OnNewOutboundStream(p peer.ID, name protocol.ID) {
	tell("outbound", event{"peer": p.String(), "protocol": string(name)})
}
func (t *tracer) OnClosedOutboundStream(p peer.ID) {
	tell("outbound_closed", event{"peer": p.String()})
}
func (t *tracer) Join(string)  {}
func (t *tracer) Leave(string) {}
func (t *tracer) Graft(p peer.ID, topic string) {
	tell("graft", event{"peer": p.String(), "topic": topic})
}
func (t *tracer) Prune(p peer.ID, topic string) {
	tell("prune", event{"peer": p.String(), "topic": topic})
}
func (t *tracer) ValidateMessage(*pubsub.Message) {}
func (t *tracer) DeliverMessage(*pubsub.Message)  {}
func (t *tracer) RejectMessage(m *pubsub.Message, reason string) {
	tell("reject", event{"reason": reason, "via": m.ReceivedFrom.String()})
}
func (t *tracer) DuplicateMessage(*pubsub.Message) {}
func (t *tracer) ThrottlePeer(peer.ID)             {}
func (t *tracer) RecvRPC(rpc *pubsub.RPC)          { t.count("received", rpc.Control) }
func (t *tracer) SendRPC(rpc *pubsub.RPC, _ peer.ID) {
	t.count("sent", rpc.Control)
}
func (t *tracer) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}
func (t *tracer) DropRPC(_ *pubsub.RPC, p peer.ID)                     { tell("dropped", event{"peer": p.String()}) }
func (t *tracer) UndeliverableMessage(*pubsub.Message)                 { tell("undeliverable", nil) }

func (t *tracer) count(direction string, control *pb.ControlMessage) {
	if control == nil {
		return
	}
	for name, number := range map[string]int{
		"graft": len(control.GetGraft()), "prune": len(control.GetPrune()), "idontwant": len(control.GetIdontwant()),
	} {
		if number > 0 {
			tell("control", event{"direction": direction, "kind": name, "count": number})
		}
	}
}

type node struct {
	ctx    context.Context
	host   host.Host
	pubsub *pubsub.PubSub
	topics map[string]*pubsub.Topic
	subs   map[string]*pubsub.Subscription
}

func options(listen, security string) []libp2p.Option {
	if security == "default" {
		return []libp2p.Option{libp2p.ListenAddrStrings(listen)}
	}
	chosen := libp2p.Security(noise.ID, noise.New)
	if security == "plaintext" {
		chosen = libp2p.Security(insecure.ID, insecure.NewWithIdentity)
	}
	return []libp2p.Option{
		libp2p.ListenAddrStrings(listen), libp2p.NoTransports, libp2p.Transport(tcp.NewTCPTransport), chosen,
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport), libp2p.DisableRelay(),
	}
}

func newNode(ctx context.Context, router, listen, security string, floods bool) (*node, error) {
	h, err := libp2p.New(options(listen, security)...)
	if err != nil {
		return nil, err
	}
	given := []pubsub.Option{
		pubsub.WithPeerOutboundQueueSize(queue), pubsub.WithValidateQueueSize(queue), pubsub.WithRawTracer(&tracer{}),
		pubsub.WithFloodPublish(floods),
	}
	var ps *pubsub.PubSub
	switch router {
	case "floodsub":
		ps, err = pubsub.NewFloodSub(ctx, h, given[:3]...)
	case "randomsub":
		ps, err = pubsub.NewRandomSub(ctx, h, 20, given[:3]...)
	default:
		ps, err = pubsub.NewGossipSub(ctx, h, given...)
	}
	if err != nil {
		return nil, err
	}
	h.Network().Notify(&network.NotifyBundle{
		ConnectedF: func(_ network.Network, c network.Conn) {
			state := c.ConnState()
			tell("connected", event{"peer": c.RemotePeer().String(), "direction": c.Stat().Direction.String(),
				"security": string(state.Security), "muxer": string(state.StreamMultiplexer),
				"early": state.UsedEarlyMuxerNegotiation})
		},
		DisconnectedF: func(_ network.Network, c network.Conn) { tell("disconnected", event{"peer": c.RemotePeer().String()}) },
	})
	return &node{ctx, h, ps, map[string]*pubsub.Topic{}, map[string]*pubsub.Subscription{}}, nil
}

func (n *node) join(name string) error {
	topic, err := n.pubsub.Join(name)
	if err != nil {
		return err
	}
	handler, err := topic.EventHandler()
	if err != nil {
		return err
	}
	go func() {
		defer handler.Cancel()
		for {
			found, err := handler.NextPeerEvent(n.ctx)
			if err != nil {
				return
			}
			kind := map[pubsub.EventType]string{pubsub.PeerJoin: "joined", pubsub.PeerLeave: "left"}[found.Type]
			tell(kind, event{"peer": found.Peer.String(), "topic": name})
		}
	}()
	sub, err := topic.Subscribe(pubsub.WithBufferSize(queue))
	if err != nil {
		return err
	}
	n.topics[name], n.subs[name] = topic, sub
	go func() {
		for {
			m, err := sub.Next(n.ctx)
			if err != nil {
				return
			}
			text := string(m.Data[:min(len(m.Data), 60)])
			tell("message", event{"topic": name, "from": m.GetFrom().String(), "text": strings.TrimRight(text, " "),
				"size": len(m.Data), "signed": len(m.Signature) > 0})
		}
	}()
	return nil
}

func (n *node) publish(name, prefix string, count, size int) error {
	for number := range count {
		text := fmt.Sprintf("%s %d", prefix, number)
		if size > len(text) {
			text += strings.Repeat(" ", size-len(text))
		}
		if err := n.topics[name].Publish(n.ctx, []byte(text)); err != nil {
			return err
		}
	}
	tell("published", event{"prefix": prefix, "count": count})
	return nil
}

// forge connects as somebody else and writes a message whose signature is none, in the name of the author.
func forge(ctx context.Context, target, name, topic, author string) error {
	info, err := peer.AddrInfoFromString(target)
	if err != nil {
		return err
	}
	h, err := libp2p.New(options("/ip4/127.0.0.1/tcp/0", "noise")...)
	if err != nil {
		return err
	}
	if err = h.Connect(ctx, *info); err != nil {
		return err
	}
	stream, err := h.NewStream(ctx, info.ID, protocol.ID(name))
	if err != nil {
		return err
	}
	from, err := peer.Decode(author)
	if err != nil {
		return err
	}
	rpc := pb.RPC{Publish: []*pb.Message{{From: []byte(from), Data: []byte("forged"), Topic: &topic,
		Seqno: binary.BigEndian.AppendUint64(nil, 7), Signature: make([]byte, 64)}}}
	body, err := proto.Marshal(&rpc)
	if err != nil {
		return err
	}
	_, err = stream.Write(append(binary.AppendUvarint(nil, uint64(len(body))), body...))
	tell("forged", nil)
	return err
}

func (n *node) obey(words []string) error {
	switch words[0] {
	case "dial":
		info, err := peer.AddrInfoFromString(words[1])
		if err != nil {
			return err
		}
		return n.host.Connect(n.ctx, *info)
	case "join":
		return n.join(words[1])
	case "leave":
		n.subs[words[1]].Cancel()
		delete(n.subs, words[1])
		return nil
	case "publish":
		count, _ := strconv.Atoi(words[3])
		size, _ := strconv.Atoi(words[4])
		return n.publish(words[1], words[2], count, size)
	case "forge":
		return forge(n.ctx, words[1], words[2], words[3], words[4])
	case "reset": // all streams of pubsub with a peer, in both directions
		id, err := peer.Decode(words[1])
		if err != nil {
			return err
		}
		for _, conn := range n.host.Network().ConnsToPeer(id) {
			for _, stream := range conn.GetStreams() {
				if stream.Stat().Direction.String() == words[2] && strings.Contains(string(stream.Protocol()), "sub") {
					stream.Reset()
				}
			}
		}
		return nil
	case "close":
		id, err := peer.Decode(words[1])
		if err != nil {
			return err
		}
		return n.host.Network().ClosePeer(id)
	}
	return fmt.Errorf("there is no command %q", words[0])
}

func main() {
	router := flag.String("router", "gossipsub", "floodsub, randomsub or gossipsub")
	listen := flag.String("listen", "/ip4/127.0.0.1/tcp/0", "where to listen")
	security := flag.String("security", "noise", "noise, plaintext, or default: all that go-libp2p offers")
	floods := flag.Bool("floods", false, "publish to all peers")
	flag.Parse()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n, err := newNode(ctx, *router, *listen, *security, *floods)
	if err != nil {
		tell("failed", event{"error": err.Error()})
		os.Exit(1)
	}
	address := ""
	for _, found := range n.host.Addrs() {
		if _, err := found.ValueForProtocol(multiaddr.P_TCP); err == nil && address == "" {
			address = fmt.Sprintf("%s/p2p/%s", found, n.host.ID())
		}
	}
	tell("ready", event{"address": address, "peer": n.host.ID().String()})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		if err := n.obey(words); err != nil {
			tell("error", event{"command": words[0], "error": err.Error()})
		} else {
			tell("done", event{"command": words[0]})
		}
	}
	n.host.Close()
}
