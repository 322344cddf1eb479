// The built binary where others take what it has: a crowd at every door under a hard limit of descriptors,
// and whoever lays links into its state directory or takes its lock file away.

import Foundation
import Glibc
import Platform
import Testing

@testable import Control
@testable import Sidecar

@Suite(.enabled(if: builtWeir != nil, "the weir executable was not built"), .serialized)
struct CrowdedProcessTests {
    private func openDescriptors(_ running: WeirProcess) -> Int {
        let path = "/proc/\(running.process.processIdentifier)/fd"
        return ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).count
    }

    @Test("1,010 idle clients at a hard limit of 1,024 leave verbs, probes, journal and requests alone")
    func idleClients() throws {
        let running = try WeirProcess()
        try running.start(descriptors: 1_024)
        let limits = try #require(try running.status()["limits"])
        #expect(limits["descriptors"]?["allowed"]?.integer == 1_024)
        #expect(running.log.contains("RLIMIT_NOFILE allows 1024 descriptors"))
        let listener = try running.listener()
        // Half of them have said something.
        var crowd: [RawClient] = []
        for i in 0..<1_010 {
            crowd.append(try RawClient(listener))
            crowd[i].sendNow(i % 2 == 0 ? "" : "GET / HTTP/1.1\r\nhost: ")
        }
        // And as many at the admin API as would once have filled it.
        var strangers: [RawClient] = []
        for _ in 0..<100 { strangers.append(try RawClient(running.admin)) }
        for round in 0..<20 {
            #expect(try running.request() == "HTTP/1.1 200 OK", "round \(round)")
            #expect(try AdminClient(running.admin).get("/readyz").status == 200)
            let weights = AdminVerb(.weights, model: "m", weights: ["v2": UInt32(round) * 10_000])
            #expect(try AdminClient(running.admin).send(weights).isSuccess)
        }
        #expect(openDescriptors(running) < 1_024)
        #expect(try AdminClient(running.admin).send(AdminVerb(.rollback, model: "m")).isSuccess)
        #expect(try running.phase() == "cut" && running.request() == "HTTP/1.1 200 OK")
        #expect(try running.journalKinds().filter { $0 == "verb" }.count == 21)
        #expect(try running.status()["journal"]?["failures"] == 0)
        #expect(!running.log.contains("EMFILE"))
        let metrics = try AdminClient(running.admin).get("/metrics").text
        #expect(metrics.contains("weir_descriptors_reserved ") && metrics.contains("weir_connections_max{"))
        _ = (crowd, strangers)
    }

    @Test(
        "Connections that ask for pages without end and never read leave every rollback answered",
        arguments: [
            adminGet("/metrics"), String(repeating: adminGet("/status", close: false), count: 200),
        ])
    func deafPages(request: String) throws {
        let running = try WeirProcess()
        try running.start()
        var crowd: [RawClient] = []
        for _ in 0..<100 {
            crowd.append(try RawClient(running.admin))
            crowd[crowd.count - 1].sendNow(request)
        }
        var answered = 0
        for round in 0..<27 {
            // Who was made to leave comes back.
            for i in 0..<4 {
                let slot = (round * 4 + i) % crowd.count
                crowd[slot] = try RawClient(running.admin)
                crowd[slot].sendNow(request)
            }
            let verb = AdminVerb(.rollback, model: "m", reason: "round \(round)")
            if try AdminClient(running.admin).send(verb).isSuccess { answered += 1 }
        }
        #expect(answered == 27)
        #expect(try AdminClient(running.admin).get("/readyz").status == 200)
        #expect(try running.request() == "HTTP/1.1 200 OK" && running.phase() == "cut")
        _ = crowd
    }

    @Test("A start with too few descriptors, or with bounds that need more, is refused with a sentence")
    func refusals() throws {
        let running = try WeirProcess()
        try running.launch(descriptors: 100)
        #expect(try running.exitCode() == 71)
        #expect(running.log.contains("too few file descriptors: RLIMIT_NOFILE allows 100"))
        try running.configure(weight: "5%", extra: "limits: { downstreams_max: 5000 }")
        try running.launch(descriptors: 1_024)
        #expect(try running.exitCode() == 71)
        #expect(running.log.contains("written under limits") && running.log.contains("LimitNOFILE="))
    }

    @Test("The check says with the same sentence what the start refuses here, and with --here it refuses too")
    func check() throws {
        let running = try WeirProcess()
        try running.configure(weight: "5%", extra: "limits: { downstreams_max: 5000 }")
        try running.launch(descriptors: 1_024)
        #expect(try running.exitCode() == 71)
        let start = try #require(running.log.split(separator: "\n").last { $0.contains("not started: ") })
        let sentence = try #require(start.range(of: "too few").map { String(start[$0.lowerBound...]) })
        let cases: [(arguments: [String], code: Int32)] = [
            ([], 0), (["--here"], 71), (["--output", "json"], 0), (["--here", "--output", "json"], 71),
        ]
        for (arguments, code) in cases {
            let said = try running.check(arguments, descriptors: 1_024)
            #expect(said.exitCode == code, "\(arguments)")
            #expect(said.text.contains(sentence), "\(said.text)")
        }
        #expect(try running.check(["--here"], descriptors: 20_000).exitCode == 0)
    }

    @Test("With its lock file removed a second Weir is refused all the same, and the first one goes on")
    func lockFileRemoved() throws {
        let running = try WeirProcess()
        try running.start()
        try File.remove(running.stateDir + "/lock")
        let first = running.process
        try running.launch()
        #expect(try running.exitCode() == 75)
        #expect(running.log.contains("is in use by another process"))
        #expect(try running.request() == "HTTP/1.1 200 OK")
        kill(first.processIdentifier, SIGKILL)
        #expect(eventually { !first.isRunning })
    }

    @Test(
        "A link in the place of lock, journal or state is refused by name, and nothing behind it is touched",
        arguments: ["lock", "rollouts.json", "journal.jsonl"])
    func links(name: String) throws {
        let running = try WeirProcess()
        let target = running.scratch.path + "/elsewhere"
        try File.replace(target, with: "kept".utf8)
        try File.makeDirectory(running.stateDir)
        #expect(symlink(target, running.stateDir + "/" + name) == 0)
        try running.launch()
        #expect(try running.exitCode() == 73)
        #expect(running.log.contains("\(running.stateDir)/\(name), a symbolic link"))
        #expect(try File.readAll(target, bytesMax: 100) == Array("kept".utf8))
    }

    @Test("A directory that everybody can write is used and warned about, in log and status")
    func writableByAll() throws {
        let running = try WeirProcess()
        try File.makeDirectory(running.stateDir)
        #expect(chmod(running.stateDir, 0o777) == 0)
        try running.start()
        #expect(running.log.contains("writable by everybody (mode 777)"))
        let warnings = try running.status()["state_dir"]?["warnings"]?.elements ?? []
        #expect(warnings.count == 1)
        running.signal(SIGTERM)
        #expect(try running.exitCode() == 0)
    }

    @Test(
        "A directory of another user is refused unless root runs Weir",
        .enabled(if: geteuid() == 0, "only root can run Weir as somebody else"))
    func foreignDirectory() throws {
        let running = try WeirProcess()
        try File.makeDirectory(running.stateDir)
        #expect(chown(running.stateDir, 12_345, 12_345) == 0)
        try running.start()
        #expect(running.log.contains("belongs to uid 12345, and weir runs as root"))
        running.signal(SIGTERM)
        #expect(try running.exitCode() == 0)
        // What root wrote is the owner's, who can start on it.
        var status = Glibc.stat()
        #expect(stat(running.stateDir + "/rollouts.json", &status) == 0 && status.st_uid == 12_345)
    }
}
