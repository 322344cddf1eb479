// The data plane as control sees it: start it with a plan, publish another, cut a model, read what the cores
// measured, drain. Nothing here runs on the request path; a core meets control only through its link
// (commands in, meters and access records out) and the board (switches and health words).

import Metrics
import Platform
import Synchronization

/// What a data plane needs before its first plan.
public struct DataPlaneSettings: Sendable {
    /// Where clients connect; port 0 picks a free one.
    public var listeners: [SocketAddress]
    /// Event loops, one thread each; at least 1.
    public var cores: Int
    public var limits: Limits
    /// Key of the tag in `x-weir-id`.
    public var idKey: (UInt64, UInt64)

    public init(
        listeners: [SocketAddress], cores: Int, limits: Limits = Limits(), idKey: (UInt64, UInt64) = (0, 0)
    ) {
        self.listeners = listeners
        self.cores = cores
        self.limits = limits
        self.idKey = idKey
    }
}

/// All cores behind one handle. Every method may be called from one control thread at a time.
public final class DataPlane: Sendable {
    /// The bound addresses, ports resolved, in the order of the settings.
    public let addresses: [SocketAddress]
    private let settings: DataPlaneSettings
    let board: SharedBoard
    let links: [CoreLink]
    private let listening: Mutex<[[Int32]]>
    private let threads = Mutex<[Thread]>([])

    /// Binds every listener once per core (SO_REUSEPORT): a port in use is an error here and not later.
    ///
    /// - Throws: the failed call with its address.
    public init(_ settings: DataPlaneSettings) throws(SystemFailure) {
        precondition(settings.cores >= 1 && !settings.listeners.isEmpty)
        self.settings = settings
        board = try SharedBoard(cores: settings.cores)
        var links: [CoreLink] = []
        for _ in 0..<settings.cores { links.append(try CoreLink()) }
        self.links = links
        for address in settings.listeners { try Self.claim(address) }
        var bound = settings.listeners
        var descriptors: [[Int32]] = []
        for core in 0..<settings.cores {
            var own: [Int32] = []
            for i in bound.indices {
                // A Unix socket has no SO_REUSEPORT: the cores accept from one socket, by duplicates of it.
                if core > 0, case .unix = bound[i] {
                    let first = Descriptor(adopting: descriptors[0][i])
                    let copy = try first.duplicate()
                    descriptors[0][i] = first.release()
                    own.append(copy.release())
                    continue
                }
                let descriptor = try Socket.listen(bound[i], reusePort: true)
                if let actual = Socket.localAddress(of: descriptor) { bound[i] = actual }
                own.append(descriptor.release())
            }
            descriptors.append(own)
        }
        addresses = bound
        listening = Mutex(descriptors)
    }

    /// Fails when somebody else listens at the address. SO_REUSEPORT alone would share it silently with
    /// another process of the same user.
    private static func claim(_ address: SocketAddress) throws(SystemFailure) {
        if case .ip(_, let port) = address, port != 0 {
            _ = try Socket.listen(address, reusePort: false)
        }
    }

    /// Starts the cores on `plan`. Called once.
    public func start(_ plan: Plan) throws(SystemFailure) {
        let descriptors = listening.withLock { held in
            defer { held = [] }
            return held
        }
        precondition(descriptors.count == links.count, "a data plane starts once")
        let image = AssignImage(models: plan.models, trusted: plan.trusted)
        var started: [Thread] = []
        for (index, link) in links.enumerated() {
            let seat = CoreSeat(
                index: index, count: links.count, limits: settings.limits, idKey: settings.idKey,
                listeners: descriptors[index], board: board, link: link)
            link.send(.obey(plan, image))
            let thread = try Thread.spawn(name: "weir-core-\(index)") {
                Core.run(seat)
            }
            started.append(thread)
        }
        threads.withLock { [started] held in held = started }
    }

    /// Gives every core the plan; each takes it over between two turns.
    public func publish(_ plan: Plan) {
        let image = AssignImage(models: plan.models, trusted: plan.trusted)
        for link in links { link.send(.obey(plan, image)) }
    }

    /// The smallest plan epoch over the cores: what every core obeys at least.
    public var obeyedEpoch: UInt64 {
        links.map { $0.obeyedEpoch.load(ordering: .acquiring) }.min() ?? 0
    }

    /// Sends every split of the model to stable and bars the versions whose bits are set (bit i: index i in
    /// the model's plan). Each core's next assignment sees it. Stays until `clearCut`.
    public func cut(_ model: ModelSlot, versions: UInt32) {
        precondition(model < Limits.modelsMax)
        board.words.switches[model].store(Board.splitCut | UInt64(versions), ordering: .releasing)
    }

    /// Lifts the switches, once the obeyed plan says the same or an operator asked for it. What follows is a
    /// new rollout: every sticky key may fail for the first time again.
    public func clearCut(_ model: ModelSlot) {
        precondition(model < Limits.modelsMax)
        board.words.switches[model].store(0, ordering: .releasing)
        beginRollout(model)
    }

    /// A new rollout of the model: every sticky key may fail for the first time again.
    public func beginRollout(_ model: ModelSlot) {
        precondition(model < Limits.modelsMax)
        board.words.keys.beginRollout(model)
    }

    /// The verdict of active health checks, on one thread: said of every passed check, because each ends an
    /// ejection, and when an endpoint turns unhealthy.
    public func setHealthy(_ endpoint: EndpointSlot, _ isHealthy: Bool) {
        precondition(endpoint < Limits.endpointsMax)
        let word = HealthWord(bits: board.words.health[endpoint].load(ordering: .relaxed))
        board.words.health[endpoint].store(word.after(isHealthy: isHealthy).bits, ordering: .releasing)
    }

    /// Checks that the endpoint has passed, and around: to be compared for equality.
    public func passedChecks(_ endpoint: EndpointSlot) -> UInt64 {
        precondition(endpoint < Limits.endpointsMax)
        return UInt64(HealthWord(bits: board.words.health[endpoint].load(ordering: .relaxed)).passes)
    }

    /// Nothing is known of the endpoint any more, or yet: an endpoint that the plan has checked waits for its
    /// first passed check, any other one serves.
    public func forgetHealth(_ endpoint: EndpointSlot) {
        precondition(endpoint < Limits.endpointsMax)
        board.words.health[endpoint].store(0, ordering: .releasing)
    }

    /// What active health checks have said of the endpoint; nil: nothing yet.
    public func health(_ endpoint: EndpointSlot) -> Bool? {
        precondition(endpoint < Limits.endpointsMax)
        let word = HealthWord(bits: board.words.health[endpoint].load(ordering: .relaxed))
        return word.isUnknown ? nil : !word.isFailing
    }

    /// One meter per core for the version; additive.
    public func meters(_ version: VersionSlot) -> [VersionMeter] {
        links.map { $0.meter(version) }
    }

    /// What each core says of itself.
    public func coreMeters() -> [CoreMeter] {
        links.map { $0.coreMeter }
    }

    /// Hands over every access record that waits, core by core.
    public func drainAccessLog(_ body: (AccessRecord) -> Void) {
        for link in links {
            while let record = link.accessLog.take() { body(record) }
        }
    }

    /// Stops accepting; connections end as they fall idle.
    public func drain() {
        for link in links { link.send(.drain) }
    }

    /// Whether no core holds a client connection any more.
    public var isDrained: Bool {
        links.allSatisfy { $0.isDrained.load(ordering: .acquiring) }
    }

    /// The drain's deadline: ends what is still open, streams with a reset.
    public func cutOff() {
        for link in links { link.send(.cutOff) }
    }

    /// Whether every core has cut what it held.
    public var isCutOff: Bool {
        links.allSatisfy { $0.isCutOff.load(ordering: .acquiring) }
    }

    /// What `cutOff` has cut so far.
    public var cuts: CutExchanges {
        var all = CutExchanges()
        for link in links {
            let own = link.cuts.withLock { $0 }
            all.count += own.count
            all.records += own.records
        }
        return all
    }

    /// Ends the cores, whatever they still hold, and waits for their threads.
    public func stop() {
        for link in links { link.send(.stop) }
        let running = threads.withLock { held in
            defer { held = [] }
            return held
        }
        for thread in running { thread.join() }
    }
}

/// The board behind a reference, so that cores and control share one.
final class SharedBoard: Sendable {
    let words: Board

    init(cores: Int) throws(SystemFailure) {
        words = try Board(cores: cores)
    }
}

/// Everything a core takes along into its thread.
struct CoreSeat: Sendable {
    let index: Int
    let count: Int
    let limits: Limits
    let idKey: (UInt64, UInt64)
    /// Listening descriptors; the core owns them.
    let listeners: [Int32]
    let board: SharedBoard
    let link: CoreLink
}
