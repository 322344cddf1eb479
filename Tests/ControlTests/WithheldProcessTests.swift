// The built binary after its disk has lost lines: what its first answer says, who gets traffic, and what ends
// that.

import Foundation
import Platform
import Testing

@testable import Control
@testable import Sidecar

@Suite(.enabled(if: builtWeir != nil, "the weir executable was not built"), .serialized)
struct WithheldProcessTests {
    private func readyz(_ running: WeirProcess) -> String? {
        let answer = try? AdminClient(running.admin).get("/readyz")
        return answer?.status == 200 ? answer?.text : nil
    }

    @Test("The first answer of readiness says what is lost, and weight is withheld until an operator's verb")
    func lost() throws {
        let running = try WeirProcess()
        try running.start()
        let files = try Directory(running.stateDir, links: .followed)
        let names = ["rollouts.json", "journal.jsonl"]
        // The first state is written behind readiness.
        #expect(eventually { (try? files.readAll(names[0], bytesMax: 1 << 20)) != nil }, "\(running.log)")
        let kept = try names.map { try files.readAll($0, bytesMax: 1 << 20) }
        let verb = AdminVerb(.weights, model: "m", reason: "lost", weights: ["v2": 600_000])
        #expect(try AdminClient(running.admin).send(verb).isSuccess)
        running.signal(SIGKILL)
        _ = try running.exitCode()
        for (name, bytes) in zip(names, kept) { try files.replace(name, with: bytes) }
        #expect(try AuditVerify.check(directory: running.stateDir).exitCode != 0)

        try running.launch()
        var first: String?
        let hasAnswered = eventually {
            first = readyz(running)
            return first != nil
        }
        try #require(hasAnswered, "\(running.log)")
        let said = try #require(first)
        #expect(said.hasPrefix("ready, but "), "\(said)")
        #expect(said.contains("what was decided there is not known"), "\(said)")
        #expect(said.contains("all weight is withheld at stable in m,"), "\(said)")
        #expect(running.log.contains("all weight is withheld at stable in m,"))
        #expect(try running.status()["journal"]?["withheld"]?[0] == "m" && running.phase() == "cut")
        // What is kept warm at weight 0 is a connection, and no request.
        let before = running.candidate.requestCount
        for _ in 0..<50 { #expect(try running.request() == "HTTP/1.1 200 OK") }
        #expect(running.candidate.requestCount == before)
        #expect(try running.journalKinds().contains("held"))

        // Neither another start nor a reload ends it.
        running.signal(SIGKILL)
        _ = try running.exitCode()
        try running.configure(weight: "70%")
        try running.start()
        #expect(readyz(running)?.contains("withheld at stable in m,") == true)
        #expect(try AdminClient(running.admin).send(AdminVerb(.reload)).isSuccess)
        for _ in 0..<50 { #expect(try running.request() == "HTTP/1.1 200 OK") }
        #expect(running.candidate.requestCount == before)
        #expect(try AdminClient(running.admin).send(AdminVerb(.resume, model: "m")).isSuccess)
        #expect(try running.model()["weights"]?["v2"]?.string == "70%")
        #expect(eventually { readyz(running) == "ready\n" })
        for _ in 0..<50 { #expect(try running.request() == "HTTP/1.1 200 OK") }
        #expect(running.candidate.requestCount > before)
    }
}
