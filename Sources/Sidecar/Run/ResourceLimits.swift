// The bounds in force: what the config asks for, fitted into the file descriptors and the memory that this
// process may have, with a reserve that no client can take.
//
// Theory: a process without a free descriptor cannot take a rollback, write its journal or call a model
// server. So the descriptors are shared out before the first client comes: first the reserve, which is
// everything that is not a connection of the data plane, then each core's share. A bound that the config
// writes is kept or the start is refused; one that it leaves out is made smaller until it fits.
// Invariant: cores × (bounds of a core) + reserve ≤ descriptors, so accepting pauses before they run out.

import Config
import Control
import Payload
import Platform
import Proxy

/// What the system allows this process.
package struct Allowance: Sendable {
    /// Open descriptors at most.
    var descriptors: Int
    var memory: MemoryLimit

    init(descriptors: Int, memory: MemoryLimit) {
        self.descriptors = descriptors
        self.memory = memory
    }

    /// Of a process that has raised its soft limit of descriptors to the hard one, as `weir run` does.
    static var afterRaising: Allowance {
        Allowance(descriptors: ProcessUsage.descriptorsHardMax, memory: .current)
    }

    /// As things are.
    static var current: Allowance {
        Allowance(descriptors: ProcessUsage.descriptorsMax, memory: .current)
    }
}

/// Why the config's bounds cannot be met here; the description says what to do.
package struct LimitsProblem: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String
}

/// The bounds of a running Weir.
struct ResourceLimits: Sendable, Equatable {
    /// Of each core.
    private(set) var limits: Limits
    let cores: Int
    let allowance: Allowance
    /// Descriptors kept for everything but the data plane's connections.
    private(set) var reserved: Int
    /// What is smaller than its default, and why; one sentence each.
    private(set) var lowered: [String] = []

    /// Memory of everything but the data plane: control, evidence, pages, the runtime. Measured at 30 to
    /// 50 MiB with 8 models under load.
    static let controlBytes = 64 << 20
    /// The least that a core is started with.
    static let downstreamsMin = 16
    static let upstreamsMin = 8
    /// Descriptors kept for what reloads add, where the data plane is made smaller to fit.
    static let reloadSlack = 64

    /// Fits the bounds of a config.
    package init(_ config: Config, cores: Int, _ allowance: Allowance) throws(LimitsProblem) {
        limits = config.limits
        self.cores = cores
        self.allowance = allowance
        reserved = Self.reserve(config, cores: cores)
        try fitDescriptors(config)
        fitDependents(config)
        try fitMemory(config)
    }

    static func == (a: ResourceLimits, b: ResourceLimits) -> Bool { a.json == b.json }

    /// Descriptors of everything but the connections of the data plane, at worst.
    static func reserve(_ config: Config, cores: Int) -> Int {
        let checked = config.models.flatMap(\.versions).filter { $0.healthCheck != nil }
        let probes = min(HealthChecker.probesMax, checked.reduce(0) { $0 + $1.endpoints.count })
        let hasCaptures = config.models.contains { $0.captures != nil }
        // Standard streams, signals, mailboxes and pollers of the threads, the state directory, journal,
        // state, feedback, access log, config and names being resolved, /proc: 56 at most, and some to
        // spare.
        return 72 + AdminServer.connectionsMax + 4 + probes + (hasCaptures ? FolderDisk.openMax + 2 : 0)
            // A lane each, a call in progress or a child's pipes.
            + 10 * config.actions.count + 6 * config.models.count { $0.source != nil }
            + 2 * config.models.count { $0.preflight != nil }
            + cores * config.listeners.count
    }

    /// Why a reload's config does not fit beside the data plane as it runs; nil when it does.
    func refusal(of config: Config) -> String? {
        let wanted = Self.reserve(config, cores: cores)
        let free = allowance.descriptors - cores * limits.descriptorsMax
        guard wanted > max(free, reserved) else { return nil }
        return "actions, sources, checks and captures of this config need \(wanted) file descriptors beside "
            + "the \(cores * limits.descriptorsMax) of the data plane, and \(max(free, reserved)) of "
            + "\(allowance.descriptors) are left: restart weir, which shares them out anew, or raise "
            + "LimitNOFILE"
    }

    // MARK: Descriptors

    private mutating func fitDescriptors(_ config: Config) throws(LimitsProblem) {
        var share = (allowance.descriptors - reserved) / cores
        let least = Limits.minimal.descriptorsMax
        guard allowance.descriptors > reserved, share >= least else {
            throw tooFew(reserved + cores * least, "even the smallest bounds need")
        }
        let written = (config.limitsWritten.contains(.downstreams), config.limitsWritten.contains(.upstreams))
        let asked = limits
        guard limits.descriptorsMax > share else { return }
        if written == (false, false) {
            // What a later reload may need more of: a control arm, a replica, an action.
            reserved += min(Self.reloadSlack, (share - least) * cores / 8)
            share = (allowance.descriptors - reserved) / cores
        }
        limits.pipesMax = min(limits.pipesMax, max(2, share / 32))
        let connections = share - 2 - 2 * limits.pipesMax
        switch written {
        case (true, true): break
        case (true, false):
            limits.upstreamsMax = min(asked.upstreamsMax, connections - asked.downstreamsMax)
        case (false, true):
            limits.downstreamsMax = min(asked.downstreamsMax, connections - asked.upstreamsMax)
        case (false, false):
            limits.upstreamsMax = min(asked.upstreamsMax, connections / 3)
            limits.downstreamsMax = min(asked.downstreamsMax, connections - limits.upstreamsMax)
        }
        let isEnough =
            limits.descriptorsMax <= share
            && limits.downstreamsMax >= (written.0 ? 1 : Self.downstreamsMin)
            && limits.upstreamsMax >= (written.1 ? 1 : Self.upstreamsMin)
        guard isEnough else {
            var needed = asked
            if !written.0 { needed.downstreamsMax = Self.downstreamsMin }
            if !written.1 { needed.upstreamsMax = Self.upstreamsMin }
            needed.pipesMax = 2
            throw tooFew(reserved + cores * needed.descriptorsMax, "the bounds written under limits need")
        }
        say("downstreams_max", asked.downstreamsMax, limits.downstreamsMax, descriptorsReason)
        say("upstreams_max", asked.upstreamsMax, limits.upstreamsMax, descriptorsReason)
    }

    private var descriptorsReason: String {
        "RLIMIT_NOFILE allows \(allowance.descriptors) descriptors, of which \(reserved) are kept for admin, "
            + "journal and the like"
    }

    private func tooFew(_ needed: Int, _ what: String) -> LimitsProblem {
        LimitsProblem(
            description:
                "too few file descriptors: RLIMIT_NOFILE allows \(allowance.descriptors), and \(what) "
                + "\(needed) (\(reserved) for admin, journal, actions and health checks, the rest for "
                + "connections of \(cores) core\(cores == 1 ? "" : "s")). Raise it "
                + "(LimitNOFILE=\(max(needed, 65_536)) in the unit of systemd, ulimit -n in a shell, "
                + "--ulimit nofile= of Docker), or write smaller bounds under limits, or fewer cores")
    }

    /// Bounds that only make sense below others.
    private mutating func fitDependents(_ config: Config) {
        if !config.limitsWritten.contains(.exchanges) {
            limits.exchangesMax = min(limits.exchangesMax, max(limits.downstreamsMax, 1))
        }
        if !config.limitsWritten.contains(.shadows) {
            // Copies must not take the connections that users need.
            limits.shadowsMax = min(limits.shadowsMax, max(limits.upstreamsMax / 4, 1))
        }
    }

    // MARK: Memory

    /// What all of it may come to.
    var bytesMax: Int { Self.controlBytes + cores * limits.bytesMax }

    private mutating func fitMemory(_ config: Config) throws(LimitsProblem) {
        let allowed: Int
        switch allowance.memory {
        case .container(let bytes), .machine(let bytes): allowed = bytes
        case .unknown: return
        }
        // The rest is for buffers of sockets, which the kernel charges to the container.
        let budget = allowed - allowed / 8
        guard bytesMax > budget else { return }
        let asked = limits
        let isWritten = config.limitsWritten.contains(.blocks)
        if isWritten, cores * limits.blocksMax * Limits.blockBytes > allowed {
            throw tooLittle(allowed, "limits.blocks_max \(limits.blocksMax) alone is")
        }
        if !isWritten {
            let bytesPerBlock = cores * Limits.bytesPerBlock
            let excess = (bytesMax - budget + bytesPerBlock - 1) / bytesPerBlock
            let replay = 4 * limits.replayBytesMax / Limits.blockBytes
            let least = min(limits.blocksMax, max(Limits.minimal.blocksMax, replay))
            limits.blocksMax = max(least, limits.blocksMax - excess)
        }
        if bytesMax > budget { limits.pipesMax = max(1, limits.pipesMax / 16) }
        if bytesMax > allowed, case .container = allowance.memory {
            throw tooLittle(allowed, "the smallest buffers and the bounds under limits come to")
        }
        say("blocks_max", asked.blocksMax, limits.blocksMax, memoryReason(allowed))
    }

    private func memoryReason(_ allowed: Int) -> String {
        let who = if case .container = allowance.memory { "the container allows" } else { "there are" }
        return "\(who) \(allowed >> 20) MiB of memory"
    }

    private func tooLittle(_ allowed: Int, _ what: String) -> LimitsProblem {
        LimitsProblem(
            description:
                "too little memory: \(memoryReason(allowed)), and \(what) \(bytesMax >> 20) MiB at worst "
                + "over \(cores) core\(cores == 1 ? "" : "s"). Allow more, or write smaller blocks_max and "
                + "downstreams_max under limits, or fewer cores")
    }

    private mutating func say(_ name: String, _ asked: Int, _ given: Int, _ reason: String) {
        if given < asked { lowered.append("\(name) is \(given) per core instead of \(asked): \(reason)") }
    }
}

extension Limits {
    /// With which a core still works.
    static var minimal: Limits {
        var limits = Limits()
        limits.downstreamsMax = ResourceLimits.downstreamsMin
        limits.upstreamsMax = ResourceLimits.upstreamsMin
        limits.pipesMax = 2
        limits.blocksMax = 64
        return limits
    }
}

extension ResourceLimits {
    /// One line for a person.
    var sentence: String {
        "\(limits.downstreamsMax) client connections, \(limits.upstreamsMax) to model servers, "
            + "\(limits.exchangesMax) requests and \(limits.blocksMax) buffers of "
            + "\(Limits.blockBytes >> 10) KiB per core (\(cores)); "
            + "\(cores * limits.descriptorsMax + reserved) of \(allowance.descriptors) "
            + "descriptors, \(reserved) of them in reserve; at most \(bytesMax >> 20) MiB"
    }

    /// `limits` of /status.
    var json: JSON {
        let memory: JSON =
            switch allowance.memory {
            case .container(let bytes): ["source": "container", "bytes": .integer(Int64(bytes))]
            case .machine(let bytes): ["source": "machine", "bytes": .integer(Int64(bytes))]
            case .unknown: .null
            }
        return [
            "per_core": [
                "downstreams_max": .integer(Int64(limits.downstreamsMax)),
                "upstreams_max": .integer(Int64(limits.upstreamsMax)),
                "exchanges_max": .integer(Int64(limits.exchangesMax)),
                "shadows_max": .integer(Int64(limits.shadowsMax)),
                "blocks_max": .integer(Int64(limits.blocksMax)),
                "pipes_max": .integer(Int64(limits.pipesMax)),
                "replay_bytes_max": .integer(Int64(limits.replayBytesMax)),
                "pool_idle_max": .integer(Int64(limits.poolIdleMax)),
            ],
            "descriptors": [
                "allowed": .integer(Int64(allowance.descriptors)), "reserved": .integer(Int64(reserved)),
                "data_plane": .integer(Int64(cores * limits.descriptorsMax)),
            ],
            "memory": memory, "bytes_max": .integer(Int64(bytesMax)),
            "lowered": .array(lowered.map(JSON.string)), "sentence": .string(sentence),
        ]
    }
}
