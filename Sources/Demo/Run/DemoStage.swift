// Everything a demo needs, set up and taken down: two embedded model servers, a Weir between them, a load.
// All ports are the kernel's choice, the state folder is new, and nothing outlives `strike` but the journal.
// Invariant: Weir runs as `weir run` would run it; only the sockets and the scenario are the demo's own.

import Config
import Control
import Load
import Payload
import Platform
import Sidecar

/// The parts of a demo that run.
struct DemoStage {
    private static let loopback = SocketAddress.ip(IPAddress(ipv4: 0x7F00_0001), port: 0)

    let stable: ModelServer
    let candidate: ModelServer
    let sidecar: Sidecar
    let traffic: Traffic
    /// Where the scenario is about clicks.
    let audience: Audience?
    let stateFolder: String
    /// When the load began.
    let begin: Instant
    let beginMicros: UInt64

    /// Starts servers, Weir and load.
    init(_ options: DemoOptions) throws(DemoFailure) {
        stateFolder = "/tmp/weir-demo-" + String(Entropy.word(), radix: 36)
        let scenario = options.scenario
        stable = try Self.server(DemoConfig.stable, scenario, seed: 1)
        candidate = try Self.server(DemoConfig.candidate, scenario, seed: 2)
        sidecar = try Self.sidecar(
            DemoConfig.text(
                scenario, stable: stable.address, candidate: candidate.address, stateFolder: stateFolder))
        guard let address = sidecar.addresses.first else { throw DemoFailure("Weir listens nowhere") }
        let plan = Self.load(address, options)
        let admin = AdminClient(sidecar.adminAddress, timeout: .seconds(5))
        audience = try DemoFailure.of { () throws(SystemFailure) in
            try scenario.clicks.map { clicks throws(SystemFailure) in
                try Audience(clicks, admin)
            }
        }
        begin = Clock.now()
        beginMicros = Clock.wallMicros()
        traffic = try DemoFailure.of { [audience] () throws(SystemFailure) in try Traffic(plan, audience) }
    }

    private static func server(
        _ version: String, _ scenario: Scenario, seed: UInt64
    ) throws(DemoFailure) -> ModelServer {
        try DemoFailure.of { () throws(SystemFailure) in
            try ModelServer(
                loopback, model: DemoConfig.model, version: version, serviceTime: scenario.serviceTime,
                usual: scenario.usual, scoreLevels: scenario.scoreLevels, seed: seed)
        }
    }

    private static func sidecar(_ text: String) throws(DemoFailure) -> Sidecar {
        switch ConfigLoader.parse(text, file: "demo") {
        case .failure(let problems):
            throw DemoFailure(problems.description)
        case .success(let config):
            do throws(SidecarProblem) {
                let sidecar = try Sidecar(config: config, log: WeirLog.silent())
                try sidecar.start()
                return sidecar
            } catch {
                throw DemoFailure("\(error)")
            }
        }
    }

    private static func load(_ address: SocketAddress, _ options: DemoOptions) -> LoadPlan {
        let inputs = (0..<64).map { "0.\($0 * 131 % 90 + 10)" }.joined(separator: ",")
        let body =
            "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,64],\"datatype\":\"FP32\",\"data\":[\(inputs)]}]}"
        return LoadPlan(
            target: address, ratePerSecond: options.rate,
            request: RequestTemplate(
                method: "POST", path: "/v2/models/\(DemoConfig.model)/infer", host: "demo",
                body: Array(body.utf8),
                users: 100_000),
            connectionsMax: 1_024, timeout: .seconds(10),
            versions: [DemoConfig.stable, DemoConfig.candidate], readsIDs: options.scenario.clicks != nil)
    }

    /// Makes the candidate go bad.
    func spoil(_ scenario: Scenario) {
        candidate.inject(scenario.fault)
        audience?.spoil()
    }

    /// What the admin API answers to a GET; nil without an answer.
    func ask(_ path: String) -> JSON? {
        try? AdminClient(sidecar.adminAddress, timeout: .seconds(5)).get(path).json
    }

    /// What the journal says of the steps of a rollout.
    var steps: [JSON] {
        var filter = AuditFilter()
        filter.kinds = ["stage", "baking", "promoted"]
        var steps: [JSON] = []
        var journal = AuditReader(directory: stateFolder)
        try? journal.read(filter) { steps.append($0.value) }
        return steps
    }

    /// Errors that users would have seen had stable answered everything: its own share of failures, as its
    /// server counts them, of all requests.
    var errorsOfStableAlone: UInt64 {
        let (failures, requests) = (stable.failures, stable.requests)
        guard requests > 0 else { return 0 }
        return UInt64((Double(failures) / Double(requests) * Double(traffic.requests)).rounded())
    }

    /// Ends the load, then Weir, then the servers.
    func strike() {
        traffic.stop()
        audience?.stop()
        sidecar.stop()
        stable.stop()
        candidate.stop()
    }
}

/// Why a demo could not be given, in words for a person.
struct DemoFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    /// Passes a result on, and a failure of the system as this one.
    static func of<Value: ~Copyable>(
        _ body: () throws(SystemFailure) -> Value
    ) throws(DemoFailure) -> Value {
        do throws(SystemFailure) {
            return try body()
        } catch {
            throw DemoFailure("\(error)")
        }
    }
}
