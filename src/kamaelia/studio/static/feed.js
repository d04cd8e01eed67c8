// The way to the system: one WebSocket, on which the lines of the inspection protocol pass as they are.
//
// A request has an id and gets one answer. A stream is a request whose answer is followed by lines with the
// same number, until it ends or is cancelled. After a break the feed connects again, and everything that was
// asked before has failed; who listens to "greeting" asks anew.

const AGAIN = [500, 1000, 2000, 4000, 8000] // milliseconds before the next try

export class Feed extends EventTarget {
  /** Events: "greeting" (detail: what the system says first), "news" (a frame), "lost" (detail: why). */
  constructor(url) {
    super()
    this.url = url
    this.number = 0
    this.about = {} // which host's system is meant, where it is a network that answers
    this.waiting = new Map() // id -> [resolve, reject]
    this.streams = new Map() // id -> function
    this.tries = 0
    this.why = ""
    this.connect()
  }

  connect() {
    this.socket = new WebSocket(this.url)
    this.socket.onmessage = event => this.line(event.data)
    let opened = false
    this.socket.onopen = () => (opened = true)
    this.socket.onclose = async () => {
      if (!opened) this.why = await this.whyRefused()
      this.broken()
    }
  }

  /** Why the Studio did not let us in. A WebSocket is not told; an ordinary request is. */
  async whyRefused() {
    const url = new URL(this.url)
    url.protocol = location.protocol
    try {
      const answer = await fetch(url)
      return answer.status === 403 ? (await answer.text()).replace(/^403 \w+\s*/, "").trim() : ""
    } catch {
      return "" // there is no Studio any more
    }
  }

  broken() {
    const why = this.why || "the connection to the Studio is lost"
    this.why = ""
    for (const [, reject] of this.waiting.values()) reject(new Error(why))
    this.waiting.clear()
    for (const listener of this.streams.values()) listener({end: why})
    this.streams.clear()
    this.dispatchEvent(new CustomEvent("lost", {detail: why}))
    setTimeout(() => this.connect(), AGAIN[Math.min(this.tries++, AGAIN.length - 1)])
  }

  line(text) {
    let message
    try {
      message = JSON.parse(text)
    } catch {
      return // no line of the protocol; the next one may be
    }
    if ("stream" in message) {
      const listener = this.streams.get(message.stream)
      if ("end" in message) this.streams.delete(message.stream)
      listener?.(message)
    } else if ("kamaelia_inspection" in message) {
      this.tries = 0
      this.dispatchEvent(new CustomEvent("greeting", {detail: message}))
    } else if ("studio" in message) {
      this.why = String(message.why)
    } else if (this.waiting.has(message.id)) {
      const [resolve, reject] = this.waiting.get(message.id)
      this.waiting.delete(message.id)
      if ("error" in message) reject(new Error(message.error))
      else resolve(message.ok)
    }
  }

  /** Ask for something; a promise of the answer. */
  request(what, values = {}) {
    return this.send(++this.number, what, values)
  }

  send(id, what, values) {
    return new Promise((resolve, reject) => {
      if (this.socket.readyState !== WebSocket.OPEN) {
        reject(new Error("there is no connection to the system"))
        return
      }
      this.waiting.set(id, [resolve, reject])
      this.socket.send(JSON.stringify({id, do: what, ...values}))
    })
  }

  /** Ask for a stream. The listener gets each line; the last has "end". Returns what cancels it. */
  stream(what, values, listener) {
    const id = ++this.number
    this.streams.set(id, listener)
    this.send(id, what, values).catch(error => {
      if (this.streams.delete(id)) listener({end: error.message})
    })
    return () => {
      if (this.streams.delete(id)) this.request("cancel", {stream: id}).catch(() => {})
    }
  }
}
