// One core: a thread with its own event loop, connections, pools, buffers and counters. Nothing here is
// shared with another core; control is met through the link and the board only.
//
// Table of contents, in the order in which a request lives:
//   Accept/      take connections from the listeners
//   Downstream/  read heads, refuse what is wrong, keep the client's side of the connection
//   Assign/      which model, which version, and why
//   Upstream/    which endpoint, which connection; pools, ejection, waiting lines
//   Exchange/    relay the request and the response, splice long bodies; retry and shield; tunnels
//   Shadow/      the copy that nobody waits for
//   Tap/         the copy that control reads: captures, and values out of bodies
//   Finish/      settle the outcome: evidence, histograms, access log
//   Plan/        what control publishes, and the tables a core makes of it
//
// A turn: wait → each event → the `resumed` line for a while → expired timers. Every handler does one slice
// (Limits, `readBytesMax`) and then stands in the line again. Handlers that end while the read buffer is in
// use never start another read: they put the connection into the line instead.

import Metrics
import Platform
import Synchronization
import Wire

/// The kinds of poller tokens.
enum TokenKind {
    static let listener: UInt8 = 1
    static let downstream: UInt8 = 2
    static let upstream: UInt8 = 3
    static let wakeup: UInt8 = 4
    /// Only in the line of what is resumed: an exchange to be sent (again).
    static let exchange: UInt8 = 5
    /// Another core freed a place that a request in line here may take.
    static let calls: UInt8 = 6
}

/// One thread's data plane. Confined to the thread that runs it.
final class Core {
    let seat: CoreSeat
    let link: CoreLink
    let limits: Limits
    let meter: CoreMeter
    var poller: Poller
    var timers: TimerWheel
    var pool: BufferPool
    /// For the beginning of clients' unfinished input.
    var smallPool: BufferPool
    var downstreams: Slab<Downstream>
    var upstreams: Slab<Upstream>
    var exchanges: Slab<Exchange>
    var shadows: Slab<ShadowCopy>
    var taps = TapDesk()
    /// Pipes for long bodies, and the first of those that are empty.
    var pipes: Slab<SplicePipe>
    var idlePipe = Slot<SplicePipe>.none
    /// The kernel knows no splice: bodies are read.
    var isSpliceRefused = false
    /// By exchange slot.
    let texts: UnsafeMutablePointer<ExchangeTexts>
    var listeners: Listeners

    var requestParser: HeadParser
    var responseParser: HeadParser
    /// What one read brought; valid until the next read.
    let inbox: UnsafeMutableRawBufferPointer
    /// What one write takes; valid until the next message is composed.
    let outbox: UnsafeMutableRawBufferPointer
    /// The prepared head of a shadow copy, from `startShadow` to the first `tee`.
    let shadowbox: UnsafeMutableRawBufferPointer
    /// The text of an IPv6 address while it is written into a head.
    let addressbox: UnsafeMutableRawBufferPointer

    var models: StateTable<ModelState>
    var versions: StateTable<VersionState>
    var endpoints: StateTable<EndpointState>
    var assign: AssignTable
    var arena = PlanArena()
    /// Model slots by index in the plan.
    var modelSlots: UnsafeMutablePointer<Slot<ModelState>>?
    var plan: Plan

    /// Connections to be resumed after the turn's events, by token; first in, first out.
    var resumed: ResumeLine
    /// Connections that wait for buffers, by token.
    var starved: ResumeLine
    /// Connections whose unfinished input holds blocks: by weight, oldest first; their places in these
    /// lines, by number of their timers; and the blocks that they hold together.
    var holderLines = InlineArray<4, HolderLine>(repeating: HolderLine())
    let holdings: UnsafeMutablePointer<Holding>
    var unfinishedBlocks = 0
    /// The search for those who hold blocks without moving: the connection to be looked at next, by number of
    /// its timer, and how many are left of this round.
    var reliefHand: UInt32 = 0
    var reliefLeft: UInt32 = 0
    var random: Random64
    var now: Instant
    /// `now` was read at the end of what was just done: the next event starts now.
    var isNowFresh = true
    var isDraining = false
    /// The walk of the end that is under way (Plan/Core+Drain.swift).
    var leaving = LeavingWalk.none
    var isStopped = false
    /// Where the search for an idle connection goes on (Accept/Core+Evict.swift).
    var downstreamHand = Slot<Downstream>.first
    var upstreamHand = Slot<Upstream>.first
    /// Accepting stopped for want of a descriptor or a slot.
    var isAcceptPaused = false

    /// The thread's body: takes the seat, obeys the first plan, turns until stopped.
    static func run(_ seat: CoreSeat) {
        let core: Core
        do {
            core = try Core(seat)
        } catch {
            preconditionFailure("core \(seat.index) cannot start: \(error)")
        }
        while !core.isStopped { core.turn() }
        core.close()
    }

    init(_ seat: CoreSeat) throws(SystemFailure) {
        self.seat = seat
        link = seat.link
        limits = seat.limits
        meter = seat.link.coreMeter
        now = Clock.now()
        poller = try Poller(eventsMax: Limits.eventsMax)
        let connections = seat.limits.downstreamsMax + seat.limits.upstreamsMax
        let timed = connections + seat.limits.exchangesMax + seat.limits.shadowsMax + 2
        timers = TimerWheel(capacity: timed, start: now)
        pool = BufferPool(blocks: seat.limits.blocksMax, blockBytes: Limits.blockBytes)
        smallPool = BufferPool(blocks: seat.limits.blocksMax, blockBytes: Limits.smallBlockBytes)
        downstreams = Slab(capacity: seat.limits.downstreamsMax)
        upstreams = Slab(capacity: seat.limits.upstreamsMax)
        exchanges = Slab(capacity: seat.limits.exchangesMax)
        shadows = Slab(capacity: seat.limits.shadowsMax)
        pipes = Slab(capacity: seat.limits.pipesMax)
        texts = Pages.allocate(bytes: seat.limits.exchangesMax * MemoryLayout<ExchangeTexts>.stride)
            .bindMemory(to: ExchangeTexts.self, capacity: seat.limits.exchangesMax)
        holdings = Pages.allocate(bytes: connections * MemoryLayout<Holding>.stride)
            .bindMemory(to: Holding.self, capacity: connections)
        resumed = ResumeLine(capacity: 2 * (connections + seat.limits.exchangesMax))
        starved = ResumeLine(capacity: 2 * connections)
        requestParser = HeadParser(limits: seat.limits.requestHeads)
        responseParser = HeadParser(limits: seat.limits.responseHeads)
        let readMax = max(Limits.readBytesMax, seat.limits.replayBytesMax)
        // What is held is an incomplete head or trailer section.
        inbox = Self.scratch(seat.limits.anyHeadBytesMax + Limits.readBytesMax + readMax)
        // A head, and a read of the smallest chunks (each byte of data grows by less than its old framing).
        outbox = Self.scratch(3 * seat.limits.anyHeadBytesMax + 2 * readMax)
        shadowbox = Self.scratch(3 * seat.limits.headBytesMax + Self.copyMax)
        addressbox = Self.scratch(IPAddress.textBytesMax)
        models = StateTable(capacity: Limits.modelsMax)
        versions = StateTable(capacity: Limits.versionsMax)
        endpoints = StateTable(capacity: Limits.endpointsMax)
        plan = Plan(epoch: 0, models: [], trusted: [], accessLogPPM: nil)
        assign = AssignTable(models: [], trusted: [])
        random = Random64(seed: Entropy.word())
        listeners = Listeners(adopting: seat.listeners)
        try register()
    }

    private static func scratch(_ bytes: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: Pages.allocate(bytes: bytes), count: bytes)
    }

    deinit {
        for scratch in [inbox, outbox, shadowbox, addressbox] {
            if let start = scratch.baseAddress { Pages.release(start, bytes: scratch.count) }
        }
        let connections = limits.downstreamsMax + limits.upstreamsMax
        Pages.release(holdings, bytes: connections * MemoryLayout<Holding>.stride)
        Pages.release(texts, bytes: limits.exchangesMax * MemoryLayout<ExchangeTexts>.stride)
    }

    private func register() throws(SystemFailure) {
        let wakeup = Token(kind: TokenKind.wakeup, generation: 0, slot: 0)
        if let errno = poller.add(link.commands.wakeup.descriptor, token: wakeup, interest: .readable) {
            throw SystemFailure(operation: "watch a core's mailbox", errno: errno)
        }
        let calls = Token(kind: TokenKind.calls, generation: 0, slot: 0)
        if let errno = seat.board.words.places.watch(seat.index, poller, calls) {
            throw SystemFailure(operation: "watch a core's calls", errno: errno)
        }
        for index in 0..<listeners.count {
            let token = Token(kind: TokenKind.listener, generation: 0, slot: UInt32(index))
            if let errno = listeners.watch(index, poller, token) {
                throw SystemFailure(operation: "watch a listener", errno: errno)
            }
        }
    }

    /// Wait, handle what came, resume what became possible, expire what is due.
    func turn() {
        let isBusy = !resumed.isEmpty || canFeedStarved || isRelieving || leaving != .none
        let timeout = isBusy ? 0 : timers.timeoutMillis(now: now)
        let count = poller.wait(timeoutMillis: timeout)
        readClock()
        let woken = now
        for i in 0..<count {
            let event = poller[i]
            dispatch(event.token, event.readiness)
        }
        resumeAll(since: woken)
        relieve()
        expireDue()
        if leaving != .none { leave() }
        meter.count(.turns)
        meter.set(.buffersFree, pool.free)
        meter.set(.exchanges, exchanges.count)
        meter.set(.shadows, shadows.count)
    }

    /// Reads the clock for an event, unless that was just done.
    func readClockForEvent() {
        if !isNowFresh { now = Clock.now() }
        isNowFresh = false
    }

    /// Reads the clock after a system call that may have taken long, at the end of what an event does.
    func readClock() {
        now = Clock.now()
        isNowFresh = true
    }

    private func dispatch(_ token: Token, _ readiness: Readiness) {
        switch token.kind {
        case TokenKind.upstream:
            guard let slot = upstreams.slot(of: token) else { return }
            upstreamReady(slot, readiness)
        case TokenKind.downstream:
            guard let slot = downstreams.slot(of: token) else { return }
            downstreamReady(slot, readiness)
        case TokenKind.listener:
            isNowFresh = false
            acceptAll(Int(token.slot))
        case TokenKind.calls:
            isNowFresh = false
            takeCalls()
        default:
            isNowFresh = false
            takeCommands()
        }
    }
}
