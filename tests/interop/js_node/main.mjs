// A js-libp2p node that the interoperability tests control, with the commands and events of the Go node as far as it has
// them. Commands are lines on stdin, events are JSON objects on stdout, one per line. It ends when stdin closes.
import { createInterface } from 'node:readline'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const tell = (event, facts = {}) => process.stdout.write(JSON.stringify({ event, ...facts }) + '\n')

const node = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionGater: { denyDialMultiaddr: () => false }, // loopback is refused by default
  services: {
    identify: identify(),
    pubsub: gossipsub({ emitSelf: true, allowPublishToZeroTopicPeers: true, floodPublish: false })
  }
})
const pubsub = node.services.pubsub
const joined = new Set()

node.addEventListener('peer:disconnect', ({ detail }) => tell('disconnected', { peer: detail.toString() }))
pubsub.addEventListener('subscription-change', ({ detail }) => {
  for (const { topic, subscribe } of detail.subscriptions) {
    tell(subscribe ? 'joined' : 'left', { peer: detail.peerId.toString(), topic })
  }
})
for (const event of ['graft', 'prune']) {
  pubsub.addEventListener('gossipsub:' + event, ({ detail }) => tell(event, { peer: detail.peerId.toString(), topic: detail.topic }))
}
pubsub.addEventListener('message', ({ detail }) => {
  if (joined.has(detail.topic)) {
    const text = new TextDecoder().decode(detail.data.subarray(0, 60)).trimEnd()
    tell('message', {
      topic: detail.topic, from: detail.from.toString(), text, size: detail.data.length, signed: detail.type === 'signed'
    })
  }
})

const commands = {
  dial: async (address) => { await node.dial(multiaddr(address)) },
  join: async (topic) => { joined.add(topic); pubsub.subscribe(topic) },
  leave: async (topic) => { joined.delete(topic); pubsub.unsubscribe(topic) },
  publish: async (topic, prefix, count, size) => {
    for (let number = 0; number < Number(count); number++) {
      await pubsub.publish(topic, new TextEncoder().encode(`${prefix} ${number}`.padEnd(Number(size))))
    }
  }
}

tell('ready', { address: node.getMultiaddrs()[0].toString(), peer: node.peerId.toString() })
for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...words] = line.split(' ')
  try {
    await commands[command](...words)
    tell('done', { command })
  } catch (error) {
    tell('error', { command, error: String(error) })
  }
}
process.exit(0)
