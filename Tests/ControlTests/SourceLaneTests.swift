// Sources against servers that record what they are asked: answers in the wire format of MLflow 3.17.2,
// answers that make no sense, and none at all; a disk that refuses; and a whole sidecar that follows an
// alias.

import Foundation
import Payload
import Platform
import Synchronization
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

private let aliasPath = "/api/2.0/mlflow/registered-models/alias"

/// The answers that a server of MLflow 3.17.2 gave.
private enum Recorded {
    static func version(_ number: String) -> JSON {
        [
            "status": 200,
            "body": .string(
                """
                {
                  "model_version": {
                    "name": "rec",
                    "version": "\(number)",
                    "creation_timestamp": 1795273082298,
                    "last_updated_timestamp": 1795273082298,
                    "current_stage": "None",
                    "description": "",
                    "source": "s3://b/x",
                    "run_id": "",
                    "status": "READY",
                    "run_link": "",
                    "aliases": [
                      "next"
                    ]
                  }
                }
                """),
        ]
    }

    static func error(_ status: Int64, _ code: String, _ message: String) -> JSON {
        let body: JSON = ["error_code": .string(code), "message": .string(message), "sqlstate": "KAM00"]
        return ["status": .integer(status), "body": .string(body.text)]
    }

    static let noAlias = error(400, "INVALID_PARAMETER_VALUE", "Registered model alias next not found.")
    static let noAliasElsewhere = error(404, "RESOURCE_DOES_NOT_EXIST", "Alias 'next' does not exist.")
    static let noModel = error(
        404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=alias-rec not found")
    static let noModelElsewhere = error(
        404, "RESOURCE_DOES_NOT_EXIST", "Routine or Model 'main.alias' does not exist.")
    /// The alias outlives the version that it names.
    static let noVersion = error(
        404, "RESOURCE_DOES_NOT_EXIST", "Model Version (name=rec, version=2) not found")
    static let badAlias = error(
        400, "INVALID_PARAMETER_VALUE",
        "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores (_), and dashes (-).")
}

/// What a lane handed over, and a disk that can refuse.
private final class Outlets: Sendable {
    struct State {
        var moves: [SourceMove] = []
        var saved: [SourceAnswer] = []
        var diskRefuses = false
        var controllerIsBusy = false
    }

    let state = Mutex(State())

    var outlets: SourceOutlets {
        SourceOutlets(
            save: { [self] _, answer in
                state.withLock { state in
                    if state.diskRefuses { return "ENOSPC" }
                    state.saved.append(answer)
                    return nil
                }
            },
            move: { [self] move in
                state.withLock { state in
                    if !state.controllerIsBusy { state.moves.append(move) }
                    return !state.controllerIsBusy
                }
            }, log: WeirLog.silent())
    }

    var targets: [AliasTarget] { state.withLock { $0.moves.map(\.answer.latest) } }
    var saved: [AliasTarget] { state.withLock { $0.saved.map(\.latest) } }
}

@Suite(.enabled(if: ActionSinkServer.isPossible, "python3 or openssl is missing"))
struct SourceLaneTests {
    /// One for each test: the paths are MLflow's own.
    private let sink: ActionSinkServer
    private let outlets = Outlets()

    init() throws { sink = try ActionSinkServer() }

    private func source(timeout: Interval = .seconds(60)) throws -> CandidateSource {
        CandidateSource(
            access: MLflowAccess(url: try sink.url("/"), timeout: timeout), model: "rec", alias: "next",
            every: .millis(2), versions: ["1": "v1", "2": "v2", "3": "v3"])
    }

    private func lane(_ source: CandidateSource, answer: SourceAnswer? = nil) throws -> SourceLane {
        let lane = try SourceLane("m", source, stable: "v1", answer: answer, seed: 1, outlets.outlets)
        try lane.start()
        return lane
    }

    private func script(_ answers: JSON...) throws { try sink.script(["GET \(aliasPath)": answers]) }

    private func polls(_ lane: SourceLane, _ result: SourcePoll) -> UInt64 { lane.status.polls[result] ?? 0 }

    @Test("Each move of the alias is saved, then handed over, once, however often it is polled")
    func follows() throws {
        try script(
            Recorded.version("2"), Recorded.version("2"), Recorded.version("9"), Recorded.version("9"),
            Recorded.noAlias, Recorded.noAliasElsewhere, Recorded.version("1"), Recorded.version("3"))
        let lane = try lane(source())
        defer { lane.end() }
        #expect(eventually { polls(lane, .mapped) >= 6 })
        let expected: [AliasTarget] = [
            .version("2"), .version("9"), .missing, .version("1"), .version("3"),
        ]
        #expect(outlets.targets == expected && outlets.saved == expected)
        #expect(polls(lane, .unmapped) == 2 && polls(lane, .missing) == 2 && polls(lane, .failed) == 0)
        #expect(lane.status.candidate == "v3" && lane.status.number == "3" && lane.status.trouble == nil)
        #expect(lane.status.sentence == "mlflow alias next -> version 3 (v3)")
        #expect(try sink.recorded().first?["path"]?.string == "\(aliasPath)?name=rec&alias=next")
    }

    @Test("An answer that was known before a restart is no move")
    func knownBefore() throws {
        try script(Recorded.version("2"))
        let source = try source()
        let known = source.answer(.version("2"), after: nil, wallMicros: 1)
        let lane = try lane(source, answer: known)
        defer { lane.end() }
        #expect(lane.status.candidate == "v2")
        #expect(eventually { polls(lane, .mapped) >= 2 })
        #expect(outlets.targets == [] && outlets.saved == [])
    }

    @Test("While an alias names a version that is not mapped, the last one stays, and a sentence says so")
    func unmapped() throws {
        try script(Recorded.version("2"), Recorded.version("17"))
        let lane = try lane(source())
        defer { lane.end() }
        #expect(eventually { polls(lane, .unmapped) >= 2 })
        #expect(lane.status.candidate == "v2")
        #expect(
            lane.status.trouble
                == "mlflow alias next -> version 17, which `versions` does not map: "
                + "version 2 (v2) stays the candidate")
    }

    @Test("A version that is gone from the registry stops its candidate when that has been said for a while")
    func goneStops() throws {
        try script(
            Recorded.version("2"), Recorded.noVersion, ["status": 500, "body": "oh"], Recorded.noVersion)
        var source = try source()
        source.missing = .stop(after: .seconds(1))
        let begin = Clock.now()
        let lane = try lane(source)
        defer { lane.end() }
        #expect(eventually { polls(lane, .gone) >= 1 })
        let early = outlets.targets
        #expect(early == [.version("2")] || Clock.now() - begin >= .seconds(1), "\(early)")
        #expect(eventually { outlets.targets == [.version("2"), .missing] })
        #expect(outlets.saved == [.version("2"), .missing])
        #expect(
            outlets.state.withLock { $0.moves.last?.sentence }
                == "the version that mlflow alias next names is not in the registry: there is no candidate")
        #expect(eventually { lane.status.candidate == nil })
        #expect(
            lane.status.trouble
                == "the version that mlflow alias next names is not in the registry; there is no candidate")
        // Once, however often it is said; and a version that comes is a candidate again.
        let count = polls(lane, .gone)
        #expect(eventually { polls(lane, .gone) >= count + 3 })
        #expect(outlets.targets.count == 2)
        try script(Recorded.version("3"))
        #expect(eventually { outlets.targets == [.version("2"), .missing, .version("3")] })
        #expect(eventually { lane.status.trouble == nil && lane.status.candidate == "v3" })
    }

    @Test("A version that comes back in time stops nothing, and the time begins anew")
    func goneComesBack() throws {
        try script(Recorded.version("2"), Recorded.noVersion, Recorded.version("2"), Recorded.noVersion)
        var source = try source()
        source.missing = .stop(after: .seconds(3_600))
        let lane = try lane(source)
        defer { lane.end() }
        #expect(eventually { polls(lane, .gone) >= 3 })
        #expect(lane.status.candidate == "v2" && outlets.targets == [.version("2")])
        #expect(
            lane.status.trouble
                == "the version that mlflow alias next names is not in the registry, which stops the "
                + "candidate after 1h; version 2 (v2) stays the candidate")
    }

    @Test(
        "With `missing: keep` the candidate stays, and a sentence says so",
        arguments: [
            (Recorded.noVersion, "the version that mlflow alias next names is not in the registry"),
            (Recorded.noAlias, "there is no mlflow alias next"),
        ])
    func kept(_ answer: JSON, _ what: String) throws {
        try script(Recorded.version("2"), answer)
        var source = try source()
        source.missing = .keep
        let lane = try lane(source)
        defer { lane.end() }
        #expect(eventually { polls(lane, .gone) + polls(lane, .missing) >= 3 })
        #expect(outlets.targets == [.version("2")] && lane.status.candidate == "v2")
        #expect(lane.status.trouble == "\(what) (missing: keep); version 2 (v2) stays the candidate")
    }

    @Test(
        "Whatever a registry answers instead, the last answer stays in force until a poll goes well",
        arguments: [
            Recorded.noModel, Recorded.noModelElsewhere, Recorded.badAlias, ["status": 500, "body": "oh"],
            ["status": 200, "body": "{}"],
            ["status": 200, "body": ""], ["status": 200, "body": "<html>Sign in</html>"],
            ["status": 200, "body": "{\"model_version\":{\"version\":\"\"}}"],
            ["status": 200, "body": "{\"model_version\":{\"version\":\"2\\n3\"}}"],
            ["status": 200, "body": "{\"model_version\":{\"version\":[3]}}"],
            ["status": 200, "body": "{\"model_version\":{\"version\":\"3\"},\"model_version\":{}}"],
            ["status": 200, "body": .string("{\"a\":\"" + String(repeating: "x", count: 2 << 20) + "\"}")],
            ["status": 200, "body": .string(String(repeating: "[", count: 100_000))],
            ["status": 302, "fields": ["location": "/elsewhere"]], ["status": 401, "body": "no"],
            ["status": 403, "body": "Invalid Host header"], ["status": 429, "body": "slower"],
        ] as [JSON])
    func failures(_ answer: JSON) throws {
        try script(Recorded.version("2"), answer, Recorded.version("3"))
        let lane = try lane(source())
        defer { lane.end() }
        #expect(eventually { outlets.targets.count == 2 })
        #expect(outlets.targets == [.version("2"), .version("3")])
        #expect(polls(lane, .failed) == 1 && polls(lane, .missing) == 0)
        #expect(eventually { lane.status.candidate == "v3" && lane.status.trouble == nil })
    }

    @Test("A registry that is not there, or never answers, is a counted failure with a sentence")
    func unreachable() throws {
        try script(["status": 200, "delay": 30])
        let lane = try lane(source(timeout: .millis(20)))
        defer { lane.end() }
        #expect(eventually { polls(lane, .failed) >= 3 })
        #expect(lane.status.trouble?.hasSuffix("; there is no candidate") == true)
        var gone = try source()
        gone.access.url = try HTTPURL("http://127.0.0.1:1")
        lane.change(to: gone, stable: "v1")
        #expect(eventually { lane.status.trouble?.contains("http://127.0.0.1:1") == true })
        #expect(outlets.targets == [])
    }

    @Test("A call under way ends when the lane does")
    func ends() throws {
        try script(["status": 200, "delay": 3_600])
        let lane = try lane(source(timeout: .seconds(3_600)))
        #expect(eventually { (try? sink.recorded(aliasPath).count) ?? 0 > 0 })
        lane.end()
        #expect(eventually { lane.isOver })
        #expect(outlets.targets == [])
    }

    @Test("What the disk refuses to remember makes nobody the candidate, but can take a candidate away")
    func diskRefuses() throws {
        try script(Recorded.version("2"))
        let lane = try lane(source())
        defer { lane.end() }
        #expect(eventually { outlets.targets == [.version("2")] })
        outlets.state.withLock { $0.diskRefuses = true }
        try script(Recorded.version("3"))
        #expect(eventually { polls(lane, .refused) >= 2 })
        #expect(lane.status.candidate == "v2" && outlets.targets == [.version("2")])
        #expect(lane.status.trouble?.contains("cannot be made durable (ENOSPC)") == true)
        try script(Recorded.noAlias)
        #expect(eventually { outlets.targets == [.version("2"), .missing] })
        try script(Recorded.version("3"))
        outlets.state.withLock { $0.diskRefuses = false }
        #expect(eventually { outlets.targets == [.version("2"), .missing, .version("3")] })
        #expect(eventually { lane.status.trouble == nil })
    }

    @Test("A move that the controller has no room for is handed over again by the next poll")
    func busy() throws {
        outlets.state.withLock { $0.controllerIsBusy = true }
        try script(Recorded.version("2"))
        let lane = try lane(source())
        defer { lane.end() }
        #expect(eventually { polls(lane, .refused) >= 2 })
        #expect(lane.status.candidate == nil)
        outlets.state.withLock { $0.controllerIsBusy = false }
        #expect(eventually { outlets.targets == [.version("2")] && lane.status.candidate == "v2" })
    }

    @Test("A name and a password are sent as basic authentication, and read anew at every poll")
    func basic() throws {
        let path = sink.folder + "/password"
        try Data("open sesame\n".utf8).write(to: URL(fileURLWithPath: path))
        var source = try source()
        source.access.username = "Aladdin"
        source.access.passwordFile = path
        try script(Recorded.version("2"))
        let lane = try lane(source)
        defer { lane.end() }
        #expect(eventually { polls(lane, .mapped) >= 1 })
        // RFC 7617, section 2.
        let expected: JSON = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        #expect(try sink.recorded().allSatisfy { $0["fields"]?["authorization"] == expected })
        try FileManager.default.removeItem(atPath: path)
        #expect(eventually { lane.status.trouble?.contains(path) == true })
        #expect(lane.status.trouble?.contains("sesame") == false && lane.status.candidate == "v2")
    }
}

@Suite(.enabled(if: ActionSinkServer.isPossible, "python3 or openssl is missing"))
struct SourceSidecarTests {
    private func config(_ scratch: Scratch, _ registry: HTTPURL) throws -> Config {
        try World.config(
            TwoVersions.yaml(
                scratch, ["127.0.0.1:1", "127.0.0.1:1"],
                """
                candidate:
                  mlflow:
                    { url: "\(registry.origin)", model: rec, alias: next, every: 1s, versions: { 2: v2 } }
                weights: { v2: 20% }
                """))
    }

    /// A sidecar from its start to its end.
    private func with(_ config: Config, startsWith weights: [UInt32], _ body: (Sidecar) throws -> Void) throws
    {
        let sidecar = try Sidecar(config: config, log: WeirLog.silent())
        #expect(sidecar.plan.models[0].versions.map(\.weightPPM) == weights)
        try sidecar.start()
        defer { sidecar.stop() }
        try body(sidecar)
    }

    private func weight(_ sidecar: Sidecar) -> String? {
        sidecar.status()?["models"]?[0]?["weights"]?["v2"]?.string
    }

    @Test("A sidecar follows the alias, says where its candidate comes from, and starts without the registry")
    func restart() throws {
        let scratch = try Scratch()
        let sink = try ActionSinkServer()
        try sink.script(["GET \(aliasPath)": [Recorded.version("2")]])
        let url = try sink.url("/")
        try with(config(scratch, url), startsWith: [1_000_000, 0]) { first in
            #expect(eventually { weight(first) == "20%" })
            let source = first.status()?["models"]?[0]?["candidate_source"]
            #expect(source?["candidate"] == "v2" && source?["version"] == "2" && source?["trouble"] == .null)
            let client = AdminClient(first.adminAddress)
            let (ready, metrics) = (try client.get("/readyz").text, try client.get("/metrics").text)
            #expect(ready == "ready\n")
            #expect(
                metrics.contains(
                    "weir_source_info{model=\"m\",alias=\"next\",version=\"v2\",registry_version=\"2\"} 1"))
        }
        // The same file and answers, and nobody who could be asked.
        try sink.script(["GET \(aliasPath)": [["status": 200, "delay": 3_600]]])
        try with(config(scratch, url), startsWith: [800_000, 200_000]) { #expect(weight($0) == "20%") }
        let report = try AuditVerify.check(directory: scratch.path + "/state")
        #expect(report.isIntact)
        // A file that is damaged names nobody, and stops nothing.
        try Data("{}".utf8).write(to: URL(fileURLWithPath: SourceFile.path(in: scratch.path + "/state")))
        try with(config(scratch, url), startsWith: [1_000_000, 0]) { third in
            #expect(eventually { third.status()?["models"]?[0]?["candidate_source"] != .null })
            #expect(weight(third) != "20%")
        }
    }

    @Test(
        "A version that is gone gives its traffic back by a reload; journal, readiness and status tell of it"
    )
    func gone() throws {
        let scratch = try Scratch()
        let sink = try ActionSinkServer()
        try sink.script(["GET \(aliasPath)": [Recorded.version("2"), Recorded.noVersion]])
        var config = try config(scratch, try sink.url("/"))
        config.models[0].source?.missing = .stop(after: .zero)
        try with(config, startsWith: [1_000_000, 0]) { sidecar in
            let journal = scratch.path + "/state/journal.jsonl"
            func told() throws -> [JSON] {
                try File.readAll(journal, bytesMax: 1 << 20).split(separator: 0x0A).map {
                    try JSON(parsing: $0)
                }
            }
            let what = "the version that mlflow alias next names is not in the registry"
            #expect(
                eventually { (try? told().contains { $0["reason"]?.string?.contains(what) == true }) == true }
            )
            let lines = try told().filter { $0["kind"] == "config_loaded" }
            #expect(lines.map { $0["actor"]?.string } == ["mlflow alias next", "mlflow alias next"])
            #expect(eventually { weight(sidecar) != "20%" })
            let source = sidecar.status()?["models"]?[0]?["candidate_source"]
            #expect(
                source?["candidate"] == .null
                    && source?["trouble"]?.string == "\(what); there is no candidate")
            let ready = try AdminClient(sidecar.adminAddress).get("/readyz")
            #expect(ready.status == 200 && ready.text == "ready, but m: \(what); there is no candidate\n")
        }
    }
}
