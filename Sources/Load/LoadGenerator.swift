// The generator's turn: take what is due, put it on free connections, wait for the sockets, read answers,
// give up on what is late. One thread, one poller; all memory is taken at the start.
// Place: `run` is the loop; what happens on one connection stands in LoadGenerator+Exchange.
// Invariant: a due request is in exactly one place: the queue, a connection, or the results.

import Platform
import Wire

/// An open-loop HTTP/1.1 load on one thread. Owner: the thread that runs it.
public struct LoadGenerator: ~Copyable {
    /// Requests that may wait for a connection; more are counted as unsent.
    static let queueMax = 65_536
    /// Room for a response's head, per connection.
    static let bufferBytes = 16 << 10
    /// How often late requests are looked for: a timeout is met to within this.
    static let sweep = Interval.millis(20)

    let plan: LoadPlan
    let address: RawAddress
    var poller: Poller
    var connections: Slab<LoadConnection>
    /// Free connections, the last used on top.
    var idle: [Slot<LoadConnection>] = []
    /// Connections on which a request is under way, and attempts to connect.
    var busy = 0
    var connecting = 0
    /// Intended send times that wait for a connection.
    var queue: InstantQueue
    var results: [LoadResult] = []
    var parser: HeadParser
    var users: Random64
    let buffers: UnsafeMutableRawPointer
    let request: UnsafeMutableRawBufferPointer
    let versionNames: [[UInt8]]
    /// The sums so far.
    public internal(set) var counts = LoadCounts()

    /// - Throws: when the target is no address that a socket can have, or no poller can be made.
    public init(_ plan: LoadPlan) throws(SystemFailure) {
        guard let address = RawAddress(plan.target) else {
            throw SystemFailure(operation: "load \(plan.target)", errno: .nameTooLong)
        }
        let poller = try Poller(eventsMax: 256)
        self.plan = plan
        self.address = address
        self.poller = poller
        parser = HeadParser(limits: HeadLimits(lineBytesMax: 8 << 10, headBytesMax: 15 << 10, fieldsMax: 100))
        connections = Slab(capacity: plan.connectionsMax)
        idle.reserveCapacity(plan.connectionsMax)
        queue = InstantQueue(capacity: Self.queueMax)
        results.reserveCapacity(1024)
        users = Random64(seed: plan.seed &+ 1)
        buffers = Pages.allocate(bytes: plan.connectionsMax * Self.bufferBytes)
        request = .allocate(byteCount: plan.request.bytes.count, alignment: 8)
        request.copyBytes(from: plan.request.bytes)
        versionNames = plan.versions.map { Array($0.utf8) }
    }

    deinit {
        Pages.release(buffers, bytes: plan.connectionsMax * Self.bufferBytes)
        request.deallocate()
    }

    /// Sends requests until `goesOn` says no, then waits for the answers that are still due.
    /// - Parameters:
    ///   - each: called once per request, in the order of their ends.
    ///   - goesOn: called once per turn with the time, at least every 20 ms.
    public mutating func run(each: (LoadResult) -> Void, while goesOn: (Instant) -> Bool) {
        var schedule = Schedule(plan, start: Clock.now())
        var nextSweep = Clock.now() + Self.sweep
        var isSending = true
        while true {
            let now = Clock.now()
            if isSending { isSending = goesOn(now) }
            while isSending, schedule.next <= now {
                enqueue(schedule.next)
                schedule.advance()
            }
            dispatchQueue()
            if now >= nextSweep {
                giveUpLate(now)
                nextSweep = now + Self.sweep
            }
            for result in results {
                counts.count(result)
                each(result)
            }
            results.removeAll(keepingCapacity: true)
            if !isSending, queue.isEmpty, busy == 0 { return }
            let wake = isSending ? min(schedule.next, nextSweep) : nextSweep
            for i in 0..<poller.wait(until: wake) {
                let event = poller[i]
                handle(event.token, event.readiness)
            }
        }
    }

    private mutating func enqueue(_ intended: Instant) {
        counts.due += 1
        if !queue.push(intended) {
            results.append(LoadResult(end: .unsent, version: nil, intended: intended, latency: .zero))
        }
    }

    /// Gives waiting requests to free connections, and makes a connection for each that finds none.
    private mutating func dispatchQueue() {
        while !queue.isEmpty, let slot = idle.popLast() { begin(slot, queue.pop()) }
        while queue.count > connecting, !connections.isFull { connect() }
    }

    /// Ends what has waited longer than the plan allows, on connections and in the queue.
    private mutating func giveUpLate(_ now: Instant) {
        var from = Slot<LoadConnection>.first
        while let slot = connections.nextLive(from: from) {
            from = slot.next
            let connection = connections.pointer(slot)
            if connection.pointee.isBusy, connection.pointee.intended + plan.timeout <= now {
                finish(slot, .timedOut)
            }
        }
        while let oldest = queue.first, oldest + plan.timeout <= now {
            _ = queue.pop()
            results.append(
                LoadResult(end: .timedOut, version: nil, intended: oldest, latency: now - oldest))
        }
    }

    private mutating func handle(_ token: Token, _ readiness: Readiness) {
        guard let slot = connections.slot(of: token) else { return }
        switch connections.pointer(slot).pointee.phase {
        case .connecting:
            if Socket.pendingError(of: connections.pointer(slot).pointee.socket) != nil {
                refuse(slot)
            } else if readiness.contains(.writable) {
                connecting -= 1
                free(slot)
            }
        case .sending(let sent):
            if readiness.contains(.writable) { send(slot, from: sent) }
            if connections.isLive(slot, generation: token.generation) { read(slot, readiness) }
        case .idle, .awaitingHead, .readingLength, .readingChunks, .readingTrailers, .readingToClose:
            read(slot, readiness)
        }
    }
}

/// A bounded first-in first-out queue of instants.
struct InstantQueue {
    private var ring: [Instant]
    private var head = 0
    private(set) var count = 0

    init(capacity: Int) { ring = Array(repeating: .never, count: capacity) }

    var isEmpty: Bool { count == 0 }
    var first: Instant? { count == 0 ? nil : ring[head] }

    /// False when full.
    mutating func push(_ instant: Instant) -> Bool {
        guard count < ring.count else { return false }
        ring[(head + count) % ring.count] = instant
        count += 1
        return true
    }

    /// - Precondition: not empty.
    mutating func pop() -> Instant {
        precondition(count > 0, "the queue is empty")
        let instant = ring[head]
        head = (head + 1) % ring.count
        count -= 1
        return instant
    }
}
