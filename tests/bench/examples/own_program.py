"""An implementation of one's own, in whatever language: specification on stdin, phases on stderr, record on stdout.

Its hosts are sets of messages, and a network is a function call.
"""

import json
import random
import sys
import time


def begin(phase: str) -> int:
    print(f"phase: {phase}", file=sys.stderr, flush=True)
    return time.process_time_ns()


spec = json.load(sys.stdin)
hosts, rng, rpcs = spec["hosts"], random.Random(spec["seed"]), 0
begin("init")
received: list[set[bytes]] = [set() for _ in range(hosts)]
begin_ns = begin("rand msgs")
for number in range(spec["messages"]):
    publisher, payload = rng.randrange(hosts), b"%d the flooooooood %d" % (number, number)
    received[publisher].add(payload)
    for sender in range(hosts):  # floodsub: everybody sends to all but the publisher
        for receiver in {*range(hosts)} - {sender, publisher}:
            received[receiver].add(payload)
            rpcs += 1
    assert all(payload in messages for messages in received)
cpu_ns = time.process_time_ns() - begin_ns
rows = [("run", "failures", 0), ("rand msgs", "cpu_ns", cpu_ns), ("rand msgs", "rpcs", rpcs)]
version = {"summary": "sets, and no network", "machines": [], "also": ["keeps every message"]}
json.dump({"outcome": "ok", "error": "", "rows": rows, "version": version}, sys.stdout)
