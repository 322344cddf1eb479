// A data plane for one test: a plan in few words, a client of it, and what its meters say.
// Place: between the raw client and the scripted origins. One core unless the test is about several.
// Invariant: the cores are stopped when the last reference goes; ports are the kernel's choice.

import Glibc
import Metrics
import Platform
import Testing

@testable import Proxy

/// A running data plane.
final class Plane {
    let data: DataPlane
    var plan: Plan

    init(
        _ models: [ModelPlan], cores: Int = 1, limits: Limits = .patient, idKey: (UInt64, UInt64) = (1, 2),
        trusted: [AddressRange] = [], accessLogPPM: UInt32 = 1_000_000
    ) throws {
        let settings = DataPlaneSettings(listeners: [.loopback], cores: cores, limits: limits, idKey: idKey)
        data = try DataPlane(settings)
        plan = Plan(epoch: 1, models: models, trusted: trusted, accessLogPPM: accessLogPPM)
        try data.start(plan)
    }

    /// One model with one version.
    convenience init(
        to origin: Origin, limits: Limits = .patient, _ change: (inout ModelPlan) -> Void = { _ in }
    ) throws {
        var model = ModelPlan.trial([.version(0, "stable", 1_000_000, [origin.address])])
        change(&model)
        try self.init([model], limits: limits)
    }

    deinit { data.stop() }

    func connect(receiveBytes: Int32? = nil) throws -> Peer {
        try Peer(to: data.addresses[0], receiveBytes: receiveBytes)
    }

    /// One request on a connection of its own.
    func ask(_ request: String = get(), to method: String = "GET") throws -> Message {
        let client = try connect()
        try client.send(request)
        return try client.response(to: method)
    }

    /// Publishes a changed plan and waits until every core obeys it.
    func publish(_ change: (inout Plan) -> Void) throws {
        change(&plan)
        plan.epoch += 1
        data.publish(plan)
        try eventually("epoch \(plan.epoch)") { data.obeyedEpoch == plan.epoch }
    }

    var core: CoreMeterSnapshot { CoreMeterSnapshot.sum(data.coreMeters()) }

    /// Waits until every core has ended the turn it is in: what a client has seen is counted then.
    func settle() throws {
        // The second plan is obeyed in a later turn than the first.
        for _ in 0..<2 { try publish { _ in } }
    }

    /// What the cores counted for a version until now.
    func counts(_ version: VersionSlot) -> VersionCounts {
        try? settle()
        var counts = VersionCounts()
        for meter in data.meters(version) { meter.read(into: &counts) }
        return counts
    }

    func drops(_ version: VersionSlot, _ reason: ShadowDrop) -> UInt64 {
        counts(version).shadowDrops[Int(reason.rawValue)]
    }

    /// Waits until nothing is in progress and no byte is held.
    func waitForRest(blocks: Int = Limits().blocksMax) throws {
        try settle()
        try eventually("rest") {
            let core = core
            return core[.exchanges] == 0 && core[.shadows] == 0 && core[.buffersFree] == blocks
        }
    }

    /// Waits for so many access records and returns them.
    func records(_ count: Int) throws -> [AccessRecord] {
        var records: [AccessRecord] = []
        try eventually("\(count) access records") {
            data.drainAccessLog { records.append($0) }
            return records.count >= count
        }
        return records
    }
}

extension Limits {
    /// Those of a data plane, but that no connection is given up because the test is slow.
    static var patient: Limits {
        var limits = Limits()
        (limits.headerDeadline, limits.bodyRateWindow) = (.seconds(600), .seconds(600))
        (limits.keepAliveIdle, limits.poolIdle) = (.seconds(600), .seconds(600))
        return limits
    }

    /// Buffers and places so few that a test can use them up.
    static var scarce: Limits {
        var limits = Limits()
        limits.blocksMax = 64
        limits.downstreamsMax = 40
        limits.upstreamsMax = 40
        return limits
    }
}

/// A client with a small window that has asked for a body without end, of which it reads nothing.
func neverReading(_ address: SocketAddress) throws -> Peer {
    let client = try Peer(to: address, receiveBytes: 16 << 10)
    try client.send(get("/endless"))
    return client
}

/// A GET as a client writes it.
func get(_ target: String = "/", _ fields: String...) -> String { request("GET", target, fields) }

/// A POST with a length.
func post(_ body: String, _ fields: String...) -> String {
    request("POST", "/", fields + ["content-length: \(body.utf8.count)"]) + body
}

func request(_ method: String, _ target: String, _ fields: [String]) -> String {
    "\(method) \(target) HTTP/1.1\r\nhost: model.test\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n"
}

/// What a server sees of a request; the client is trusted or a stranger.
func seenBehind(_ request: String, trusted: Bool = false) throws -> Message {
    let origin = try Origin.named("a")
    let model = ModelPlan.trial([.version(0, "stable", 1_000_000, [origin.address])])
    let plane = try Plane([model], trusted: trusted ? [.loopback] : [])
    #expect(try plane.ask(request).status == 200)
    return try origin.seen.wait(for: 1)[0]
}

extension AddressRange {
    /// 127.0.0.0/8.
    static let loopback = AddressRange(base: IPAddress(ipv4: 0x7F00_0000), prefixBits: 104)
}

extension ModelPlan {
    /// A model that takes every request. The first version is stable.
    static func trial(_ versions: [VersionPlan]) -> ModelPlan {
        ModelPlan(
            slot: 0, name: "trial", matches: [RouteMatch(host: nil, path: .prefix("/"))], versions: versions,
            stable: 0)
    }
}

extension VersionPlan {
    /// A version whose endpoints have the slots from `slot * 16` on.
    static func version(
        _ slot: Int, _ name: String, _ weightPPM: UInt32, _ addresses: [SocketAddress]
    ) -> VersionPlan {
        let endpoints = addresses.enumerated().map { EndpointPlan(slot: slot * 16 + $0, address: $1) }
        return VersionPlan(slot: slot, name: name, weightPPM: weightPPM, endpoints: endpoints)
    }
}
