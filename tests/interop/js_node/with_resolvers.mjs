// js-libp2p needs Promise.withResolvers, which Node has from version 22 on.
Promise.withResolvers ??= () => {
  let resolve, reject
  const promise = new Promise((done, failed) => { resolve = done; reject = failed })
  return { promise, resolve, reject }
}
