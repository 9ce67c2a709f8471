// What does the same scenario cost with go-libp2p? A native program that speaks the protocol of pubsub_sim/bench/worker.py.
//
// One JSON specification on stdin, a line "phase: <name>" on stderr at the beginning of each phase, one JSON record of
// whole numbers on stdout. Exit status: 0 for an ok run, 1 for a failed one, 2 for a specification that cannot be used.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// specification holds what is asked for: the fields of pubsub_sim.bench.spec.RunSpec that matter here.
type specification struct {
	Hosts     int    `json:"hosts"`
	Messages  int    `json:"messages"`
	Router    string `json:"router"`
	Transport string `json:"transport"`
	Sign      string `json:"sign"`
	Seed      uint64 `json:"seed"`
	Barrier   bool   `json:"barrier"`
	Warmup    bool   `json:"warmup"`
}

// row is one number: phase, metric, value.
type row [3]any

type record struct {
	Outcome string         `json:"outcome"`
	Error   string         `json:"error"`
	Rows    []row          `json:"rows"`
	Version map[string]any `json:"version"`
}

// phases takes the time of phases, and tells the parent where the run is. A silent one does neither.
type phases struct {
	isSilent  bool
	rows      []row
	name      string
	wall      time.Time
	cpuNs     int64
	sumWallNs int64
	sumCPUNs  int64
}

// begin ends the phase before, if there is one, and begins the next.
func (p *phases) begin(name string) {
	p.end()
	if p.isSilent {
		return
	}
	fmt.Fprintf(os.Stderr, "phase: %s\n", name)
	p.name, p.wall, p.cpuNs = name, time.Now(), processorNs()
}

// end ends the last phase.
func (p *phases) end() {
	if p.name == "" {
		return
	}
	wallNs, cpuNs := time.Since(p.wall).Nanoseconds(), processorNs()-p.cpuNs
	p.rows = append(p.rows, row{p.name, "wall_ns", wallNs}, row{p.name, "cpu_ns", cpuNs})
	p.sumWallNs += wallNs
	p.sumCPUNs += cpuNs
	p.name = ""
}

// processorNs gives the processor time that the kernel counted for this process, all its threads together.
func processorNs() int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

// check gives a sentence if this program cannot play what is asked for, as it never plays something else.
func check(spec specification) string {
	switch {
	case spec.Hosts < 2:
		return fmt.Sprintf("hosts: expected a whole number of at least 2, got %d", spec.Hosts)
	case spec.Messages < 1:
		return fmt.Sprintf("messages: expected a whole number of at least 1, got %d", spec.Messages)
	case spec.Router != "floodsub":
		return fmt.Sprintf("router: expected floodsub, got '%s'", spec.Router)
	case spec.Transport != "tcp":
		return fmt.Sprintf("transport: expected tcp, as these hosts talk over sockets, got '%s'", spec.Transport)
	case spec.Sign != "strict" && spec.Sign != "none":
		return fmt.Sprintf("sign: expected one of strict, none, got '%s'", spec.Sign)
	case !spec.Barrier:
		return "barrier: expected true, as all hosts are connected before the first message, got false"
	}
	return ""
}

// measure plays the scenario and says what it cost.
func measure(spec specification) record {
	if spec.Warmup {
		small := spec
		small.Hosts, small.Messages = 3, 5 // as our own workers do
		if _, err := discovery(context.Background(), small, &phases{isSilent: true}); err != nil {
			return failure("the warm-up failed: " + err.Error())
		}
	}
	runtime.GC()
	taken := &phases{}
	done, err := discovery(context.Background(), spec, taken)
	if err != nil {
		return failure(err.Error())
	}
	rows := append(taken.rows,
		row{"rand msgs", "rpcs", done.rpcs},
		row{"run", "failures", 0},
		row{"run", "wall_ns", taken.sumWallNs},
		row{"run", "cpu_ns", taken.sumCPUNs},
		row{"run", "connections", done.connections},
		row{"run", "deliveries", done.deliveries},
	)
	return record{"ok", "", rows, describe(done)}
}

func failure(sentence string) record {
	words := strings.Join(strings.Fields(sentence), " ")
	return record{"failed", words, []row{{"run", "failures", 1}}, map[string]any{}}
}

// describe says who this is, and what it does that ours do not: what was negotiated, not what was asked for.
func describe(done outcome) map[string]any {
	built := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			built[module.Path] = module.Version
		}
	}
	summary := fmt.Sprintf("go-libp2p %s with go-libp2p-pubsub %s, compiled by %s, whatever loop is asked for",
		built["github.com/libp2p/go-libp2p"], built["github.com/libp2p/go-libp2p-pubsub"], runtime.Version())
	also := []string{
		"encrypts all traffic (" + done.security + ")",
		"multiplexes streams (" + done.muxer + ")",
		"identifies peers by a signed record when they connect",
		"runs on all cores: processor time is that of all threads, garbage collector included",
	}
	return map[string]any{"summary": summary, "machines": []any{}, "also": also}
}

// endWithParent ends this process soon after its parent has ended.
func endWithParent(parent int) {
	for os.Getppid() == parent {
		time.Sleep(time.Second)
	}
	os.Exit(1)
}

func main() {
	if len(os.Args) > 1 {
		parent, err := strconv.Atoi(os.Args[len(os.Args)-1])
		if err != nil {
			fmt.Fprintln(os.Stderr, "the last argument: expected a process id, got", os.Args[len(os.Args)-1])
			os.Exit(2)
		}
		go endWithParent(parent)
	}
	var spec specification
	var said record
	status := 0
	if err := json.NewDecoder(os.Stdin).Decode(&spec); err != nil {
		said, status = failure("specification: expected one JSON object: "+err.Error()), 2
	} else if sentence := check(spec); sentence != "" {
		said, status = failure(sentence), 2
	} else if said = measure(spec); said.Outcome != "ok" {
		status = 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		panic(err)
	}
	os.Exit(status)
}
