// Everything a demo needs, set up and taken down: two embedded model servers, a Weir between them, a load.
// All ports are the kernel's choice, the state folder is new, and nothing outlives `strike` but the journal.
// Invariant: Weir runs as `weir run` would run it; only the sockets and the scenario are the demo's own.

import Control
import Load
import Platform

/// The parts of a demo that run.
struct DemoStage {
    static let model = "recommender"
    static let stable = "v1"
    static let candidate = "v2"
    /// What a healthy model takes: p50 about 4 ms, p99 about 8 ms.
    private static let serviceTime = ServiceTime(fixed: .millis(3), meanOfRest: .millis(1))
    private static let loopback = SocketAddress.ip(IPAddress(ipv4: 0x7F00_0001), port: 0)

    let stable: ModelServer
    let candidate: ModelServer
    let sidecar: Sidecar
    let traffic: Traffic
    let stateFolder: String
    /// When the load began.
    let begin: Instant
    let beginMicros: UInt64

    /// Starts servers, Weir and load.
    init(_ options: DemoOptions) throws(DemoFailure) {
        stateFolder = "/tmp/weir-demo-" + String(Entropy.word(), radix: 36)
        stable = try Self.server(Self.stable, seed: 1)
        candidate = try Self.server(Self.candidate, seed: 2)
        let text = Self.configuration(
            stable.address, candidate.address, stateFolder, split: options.scenario.split)
        sidecar = try Self.sidecar(text)
        guard let address = sidecar.addresses.first else { throw DemoFailure("Weir listens nowhere") }
        begin = Clock.now()
        beginMicros = Clock.wallMicros()
        traffic = try DemoFailure.of { () throws(SystemFailure) in
            try Traffic(Self.load(address, rate: options.rate))
        }
    }

    private static func server(_ version: String, seed: UInt64) throws(DemoFailure) -> ModelServer {
        try DemoFailure.of { () throws(SystemFailure) in
            try ModelServer(loopback, model: model, version: version, serviceTime: serviceTime, seed: seed)
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

    private static func load(_ address: SocketAddress, rate: Double) -> LoadPlan {
        let inputs = (0..<64).map { "0.\($0 * 131 % 90 + 10)" }.joined(separator: ",")
        let body =
            "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,64],\"datatype\":\"FP32\",\"data\":[\(inputs)]}]}"
        return LoadPlan(
            target: address, ratePerSecond: rate,
            request: RequestTemplate(
                method: "POST", path: "/v2/models/\(model)/infer", host: "demo", body: Array(body.utf8),
                users: 100_000),
            connectionsMax: 1_024, timeout: .seconds(10), versions: [stable, candidate])
    }

    /// The config of the demo, as a user would write it.
    static func configuration(
        _ stableAddress: SocketAddress, _ candidateAddress: SocketAddress, _ stateFolder: String,
        split: String
    ) -> String {
        """
        admin: { listen: 127.0.0.1:0 }
        state_dir: \(stateFolder)
        listeners:
          - listen: 127.0.0.1:0
        models:
          - name: \(model)
            match: { path_prefix: /v2/models/\(model) }
            versions:
              \(stable):
                endpoints: ["\(stableAddress)"]
                health_check: { path: /v2/health/ready, interval: 1s }
              \(candidate):
                endpoints: ["\(candidateAddress)"]
                health_check: { path: /v2/health/ready, interval: 1s }
                # A guardrail is to be seen at work; without it, ejection would often be faster.
                outlier_ejection: { consecutive_failures: 0 }
            stable: \(stable)
            candidate: \(candidate)
            \(split)
            timeouts: { first_byte: 1s }
            guardrails:
              - { kind: error_rate, worse_than_stable: true }
              - { kind: latency, quantile: p90, worse_than_stable_by: 50% }
        """
    }

    /// Ends the load, then Weir, then the servers.
    func strike() {
        traffic.stop()
        sidecar.stop()
        stable.stop()
        candidate.stop()
    }
}

extension Scenario {
    /// How the candidate gets its users, as the model's config says it.
    var split: String {
        guard isPromoted else { return "weights: { \(DemoStage.candidate): 10% }" }
        let stages = [
            "{ weight: 1%, min_requests: 20 }", "{ weight: 5%, min_requests: 100 }",
            "{ weight: 25%, gates: not_worse_than_stable }", "{ weight: 100% }",
        ]
        return "rollout: { stages: [\(stages.joined(separator: ", "))], bake: 2s, hold_back: 5% }"
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
