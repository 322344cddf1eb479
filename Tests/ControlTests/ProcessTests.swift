// The built binary as a process: killed, signalled, restarted, starved of its disk. Nothing is simulated.

import Foundation
import Payload
import Platform
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

/// The executable beside the test bundle; nil where only a part of the package was built.
let builtWeir: String? = {
    let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    let path = folder.appendingPathComponent("weir").path
    return FileManager.default.isExecutableFile(atPath: path) ? path : nil
}()

private let good = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
private let bad = "HTTP/1.1 500 Oh\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno"

/// A Weir process with two upstreams, a config and a state directory of its own.
final class WeirProcess {
    let scratch: Scratch
    let stable: ScriptedServer
    let candidate: ScriptedServer
    private(set) var process = Process()

    init() throws {
        scratch = try Scratch()
        stable = try ScriptedServer(.bytes(good))
        candidate = try ScriptedServer(.bytes(good))
        try configure(weight: "50%")
    }

    deinit {
        if process.isRunning { process.terminate() }
        kill(process.processIdentifier, SIGKILL)
        stable.stop()
        candidate.stop()
        try? FileManager.default.removeItem(atPath: scratch.path)
    }

    var stateDir: String { scratch.path + "/state" }
    var admin: SocketAddress { .unix(path: scratch.path + "/admin.sock") }
    private var configPath: String { scratch.path + "/weir.yaml" }
    private var logPath: String { scratch.path + "/log" }

    func configure(weight: String, port: UInt16 = 0, extra: String = "") throws {
        let text = """
            admin: { listen: "\(admin)" }
            state_dir: \(stateDir)
            listeners: [{ listen: 127.0.0.1:\(port) }]
            models:
              - name: m
                match: { path_prefix: / }
                versions:
                  v1: { endpoints: ["\(stable.address)"] }
                  v2: { endpoints: ["\(candidate.address)"] }
                stable: v1
                candidate: v2
                weights: { v2: \(weight) }
            \(extra)
            """
        try File.replace(configPath, with: text.utf8)
    }

    /// Starts the process without waiting for it.
    /// - Parameter descriptors: its hard limit of open files.
    func launch(descriptors: Int? = nil) throws {
        process = Process()
        let binary = try #require(builtWeir)
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments = ["run", "--config", configPath]
        if let descriptors {
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = [
                "-c", "ulimit -n \(descriptors) && exec \"$0\" run --config \"$1\"", binary, configPath,
            ]
        }
        process.standardOutput = FileHandle.nullDevice
        _ = FileManager.default.createFile(atPath: logPath, contents: nil)
        process.standardError = FileHandle(forWritingAtPath: logPath)
        try process.run()
    }

    /// Starts the process and waits until it is ready.
    func start(descriptors: Int? = nil) throws {
        try launch(descriptors: descriptors)
        let isReady = eventually { (try? AdminClient(admin).get("/readyz").status) == 200 }
        try #require(isReady, "\(log)")
    }

    /// What `weir check` says of the config, on both streams, with that many open files allowed.
    func check(_ arguments: [String], descriptors: Int) throws -> (exitCode: Int32, text: String) {
        let check = Process()
        let said = Foundation.Pipe()
        check.executableURL = URL(fileURLWithPath: "/bin/sh")
        check.arguments =
            ["-c", "ulimit -n \(descriptors) && exec \"$@\"", "sh", try #require(builtWeir)]
            + ["check", "--config", configPath] + arguments
        (check.standardOutput, check.standardError) = (said, said)
        try check.run()
        let text = String(decoding: said.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        check.waitUntilExit()
        return (check.terminationStatus, text)
    }

    var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

    func status() throws -> JSON { try #require(try AdminClient(admin).get("/status").json) }
    func model() throws -> JSON { try #require(try status()["models"]?[0]) }
    func phase() -> String? { (try? model())?["phase"]?.string }

    func listener() throws -> SocketAddress {
        let text = try #require(try status()["listeners"]?[0]?.string)
        return try #require(SocketAddress(text))
    }

    /// One request through the proxy; the status line.
    func request() throws -> String {
        let client = try RawClient(try listener())
        client.send("GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        return String(client.receive().prefix { $0 != "\r\n" })
    }

    /// Requests until the candidate is cut.
    func provokeCut() throws {
        candidate.set(.bytes(bad))
        let isCut = try eventually {
            let answer = try request()
            #expect(answer == "HTTP/1.1 200 OK")
            return phase() == "cut"
        }
        try #require(isCut)
    }

    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    func exitCode() throws -> Int32 {
        try #require(eventually { !process.isRunning }, "the process goes on")
        return process.terminationReason == .exit
            ? process.terminationStatus : 128 + process.terminationStatus
    }

    func journalKinds() throws -> [String] {
        let text = try String(contentsOfFile: stateDir + "/journal.jsonl", encoding: .utf8)
        return try text.split(separator: "\n").map { try JSON(parsing: String($0))["kind"]?.string ?? "" }
    }
}

@Suite(.enabled(if: builtWeir != nil, "the weir executable was not built"), .serialized)
struct ProcessTests {
    @Test("Killed with -9 right after a cut and started again, the quarantined version gets no traffic")
    func killAfterCut() throws {
        let running = try WeirProcess()
        try running.start()
        try running.provokeCut()
        running.signal(SIGKILL)
        _ = try running.exitCode()
        try running.start()
        #expect(running.phase() == "cut")
        #expect(try running.model()["quarantined"]?["v2"] != nil)
        let before = running.candidate.count
        for _ in 0..<100 { #expect(try running.request() == "HTTP/1.1 200 OK") }
        #expect(running.candidate.count == before)
        // Also not when the config asks for more.
        try running.configure(weight: "90%")
        #expect(try AdminClient(running.admin).send(AdminVerb(.reload)).isSuccess)
        for _ in 0..<50 { #expect(try running.request() == "HTTP/1.1 200 OK") }
        #expect(running.candidate.count == before)
        #expect(try AuditVerify.check(directory: running.stateDir).isIntact)
    }

    @Test("An acknowledged verb survives kill -9 at once")
    func killAfterVerb() throws {
        let running = try WeirProcess()
        try running.start()
        let verb = AdminVerb(.weights, model: "m", reason: "test", requestID: "r1", weights: ["v2": 123_400])
        #expect(try AdminClient(running.admin).send(verb).isSuccess)
        running.signal(SIGKILL)
        _ = try running.exitCode()
        try running.start()
        #expect(try running.model()["weights"]?["v2"]?.string == "12.34%")
        let again = try AdminClient(running.admin).send(verb)
        #expect(again.isSuccess)
        #expect(try running.journalKinds().filter { $0 == "verb" }.count == 1)
    }

    @Test(
        "Killed with -9 at any instant of a stream of verbs, no acknowledged one is lost and the chain holds")
    func killAtAnyInstant() throws {
        let seed = Entropy.word()
        var random = Random64(seed: seed)
        let running = try WeirProcess()
        try running.configure(weight: "0%")
        var next: UInt32 = 1
        var acknowledged: UInt32 = 0
        for round in 1...6 {
            try running.start()
            let client = AdminClient(running.admin)
            // One verb is acknowledged, however slow the machine is.
            try #require(try client.send(AdminVerb(.weights, model: "m", weights: ["v2": next])).isSuccess)
            acknowledged = next
            next += 1
            let delay = Int32(random.below(120))
            let pid = running.process.processIdentifier
            let killer = try Platform.Thread.spawn(name: "killer") {
                // The instant is meant to be arbitrary: nothing is waited for.
                if var poller = try? Poller(eventsMax: 1) { _ = poller.wait(timeoutMillis: delay) }
                kill(pid, SIGKILL)
            }
            while let answer = try? client.send(AdminVerb(.weights, model: "m", weights: ["v2": next])) {
                if answer.isSuccess { acknowledged = next }
                next += 1
            }
            killer.join()
            _ = try running.exitCode()
            try running.start()
            let text = try #require(try running.model()["weights"]?["v2"]?.string)
            let found = try Notation.percentage(text)
            #expect(found >= acknowledged && found <= next, "seed \(seed) round \(round)")
            running.signal(SIGTERM)
            #expect(try running.exitCode() == 0)
            let report = try AuditVerify.check(directory: running.stateDir)
            #expect(report.isIntact, "seed \(seed) round \(round): \(report.findings)")
        }
    }

    @Test("SIGHUP with a bad file changes nothing and says so in log and journal; a good one is taken over")
    func reload() throws {
        let running = try WeirProcess()
        try running.start()
        let digest = try running.status()["config_digest"]?.string
        try running.configure(weight: "10%", extra: "nonsense: 1")
        running.signal(SIGHUP)
        #expect(eventually { running.log.contains("unknown key 'nonsense'") })
        #expect(try running.status()["config_digest"]?.string == digest)
        #expect(try eventually { try running.journalKinds().contains("config_refused") })
        #expect(try running.request() == "HTTP/1.1 200 OK")
        try running.configure(weight: "10%")
        running.signal(SIGHUP)
        #expect(try eventually { try running.model()["weights"]?["v2"]?.string == "10%" })
    }

    @Test("SIGTERM lets a request in flight finish, is not ready meanwhile, and exits 0")
    func drains() throws {
        let running = try WeirProcess()
        running.stable.set(.silence)
        running.candidate.set(.silence)
        try running.start()
        let listener = try #require(try running.status()["listeners"]?[0]?.string)
        let client = try RawClient(try #require(SocketAddress(listener)))
        client.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(eventually { running.stable.count + running.candidate.count > 0 })
        running.signal(SIGTERM)
        #expect(eventually { (try? AdminClient(running.admin).get("/readyz").status) == 503 })
        #expect(try AdminClient(running.admin).get("/livez").status == 200)
        running.stable.release(good)
        running.candidate.release(good)
        #expect(client.receive().hasSuffix("ok"))
        #expect(try running.exitCode() == 0)
        #expect(try running.journalKinds().last == "stopped")
    }

    @Test("A reload moves the access log, and SIGUSR1 begins a new file after the old one was moved away")
    func accessLog() throws {
        let running = try WeirProcess()
        let (first, second) = (running.scratch.path + "/a.log", running.scratch.path + "/b.log")
        func lines(_ path: String) -> Int {
            ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: "\n").count
        }
        try running.configure(weight: "10%", extra: "access_log: { path: \(first) }")
        try running.start()
        #expect(try running.request() == "HTTP/1.1 200 OK")
        #expect(eventually { lines(first) == 1 })
        try File.rename(first, to: first + ".1")
        running.signal(SIGUSR1)
        #expect(eventually { FileManager.default.fileExists(atPath: first) })
        #expect(try running.request() == "HTTP/1.1 200 OK")
        #expect(eventually { lines(first) == 1 && lines(first + ".1") == 1 })
        try running.configure(weight: "10%", extra: "access_log: { path: \(second) }")
        #expect(try AdminClient(running.admin).send(AdminVerb(.reload)).isSuccess)
        #expect(eventually { FileManager.default.fileExists(atPath: second) })
        #expect(try running.request() == "HTTP/1.1 200 OK")
        #expect(eventually { lines(second) == 1 })
        #expect(lines(first) == 1)
        try running.configure(weight: "10%")
        #expect(try AdminClient(running.admin).send(AdminVerb(.reload)).isSuccess)
        running.signal(SIGTERM)
        #expect(try running.exitCode() == 0)
    }

    @Test("A second SIGTERM exits at once")
    func secondSignal() throws {
        let running = try WeirProcess()
        running.stable.set(.silence)
        running.candidate.set(.silence)
        try running.start()
        let listener = try #require(try running.status()["listeners"]?[0]?.string)
        let client = try RawClient(try #require(SocketAddress(listener)))
        client.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(eventually { running.stable.count + running.candidate.count > 0 })
        running.signal(SIGTERM)
        #expect(eventually { running.log.contains("draining") })
        running.signal(SIGTERM)
        #expect(try running.exitCode() == 128 + SIGTERM)
    }

    @Test(
        "A state directory in use, a damaged state and a wrong config are refused by exit code and sentence")
    func refusals() throws {
        let running = try WeirProcess()
        try running.start()
        let second = Process()
        second.executableURL = running.process.executableURL
        second.arguments = running.process.arguments
        let pipe = Foundation.Pipe()
        second.standardError = pipe
        try second.run()
        second.waitUntilExit()
        #expect(second.terminationStatus == 75)
        let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(said.contains("in use by process \(running.process.processIdentifier)"))
        running.signal(SIGTERM)
        #expect(try running.exitCode() == 0)

        try File.replace(running.stateDir + "/rollouts.json", with: Array("x".utf8))
        try running.launch()
        #expect(try running.exitCode() == 65)
        #expect(running.log.contains("rollouts.json is damaged"))
        try running.configure(weight: "110%")
        try running.launch()
        #expect(try running.exitCode() == 78)

        let taken = try Socket.listen(.ip(IPAddress(ipv4: 0x7F00_0001), port: 0), reusePort: true)
        guard case .ip(_, let port) = Socket.localAddress(of: taken) else { return }
        _ = try? File.remove(running.stateDir + "/rollouts.json")
        try running.configure(weight: "10%", port: port)
        try running.launch()
        #expect(try running.exitCode() == 71)
        #expect(running.log.contains("bind 127.0.0.1:\(port): EADDRINUSE"))
        _ = consume taken
    }

    @Test("With a state file that refuses, a cut is in the journal, readiness says so, and the state follows")
    func owedState() throws {
        let running = try WeirProcess()
        try running.start()
        // The state file's replacement cannot be written while a directory has its name. The first state is
        // written behind readiness, and its spare behind it.
        let spare = running.stateDir + "/rollouts.json.new"
        #expect(eventually { access(spare, F_OK) == 0 }, "\(running.log)")
        _ = try File.remove(spare)
        try File.makeDirectory(spare + "/x")
        try running.provokeCut()
        let readyz = { try AdminClient(running.admin).get("/readyz").text }
        #expect(try eventually { try readyz().contains("rollouts.json cannot be written") })
        #expect(try running.status()["journal"]?["state_trouble"]?.string != nil)
        #expect(try running.journalKinds().contains("cut"))
        let verb = AdminVerb(.weights, model: "m", weights: ["v2": 500_000], force: true)
        #expect(try AdminClient(running.admin).send(verb).status == 503)
        let before = running.candidate.count
        for _ in 0..<30 { #expect(try running.request() == "HTTP/1.1 200 OK") }
        #expect(running.candidate.count == before)
        try FileManager.default.removeItem(atPath: spare)
        #expect(try eventually { try readyz() == "ready\n" })
        running.signal(SIGKILL)
        _ = try running.exitCode()
        try running.start()
        #expect(running.phase() == "cut")
    }

    @Test(
        "Killed with -9 between a cut and its webhook, the next process tells of the cut, once, under one id",
        .enabled(if: ActionSinkServer.isPossible, "python3 or openssl is missing"))
    func killBeforeWebhook() throws {
        let sink = try ActionSinkServer.shared.get()
        let path = "/killed-\(Entropy.word())"
        try sink.script(["POST \(path)": [["status": 500, "body": "not now"], ["status": 200]]])
        let running = try WeirProcess()
        let actions = """
            actions:
              - name: pager
                webhook: { url: "\(try sink.url(path).origin)\(path)" }
                retry: { pause: 1h, max_pause: 1h }
            """
        try running.configure(weight: "50%", extra: actions)
        try running.start()
        try running.provokeCut()
        #expect(try eventually { try sink.recorded(path).count == 1 })
        #expect(try eventually { try running.status()["actions"]?[0]?["retried"] == 1 })
        running.signal(SIGKILL)
        _ = try running.exitCode()

        try running.start()
        #expect(try eventually { try running.status()["actions"]?[0]?["done"] == 1 })
        let seen = try sink.recorded(path)
        let ids = seen.map { $0["fields"]?["x-weir-delivery"]?.string ?? "" }
        #expect(ids.count == 2 && Set(ids).count == 1)
        #expect(try JSON(parsing: seen[1]["body"]?.string ?? "")["event"] == "cut")
        #expect(try eventually { try running.journalKinds().contains("action_done") })

        running.signal(SIGKILL)
        _ = try running.exitCode()
        try running.start()
        let text = String(
            decoding: try AdminClient(running.admin).get("/metrics").body, as: UTF8.self)
        #expect(text.contains("weir_actions_pending{action=\"pager\"} 0"))
        #expect(text.contains("weir_actions_total{action=\"pager\",result=\"done\"} 0"))
        #expect(try sink.recorded(path).count == 2)
        #expect(try AuditVerify.check(directory: running.stateDir).isIntact)
    }
}
