// The bytes that servers and clients see do not change unless somebody means them to: every request of the
// corpora with every response, through a data plane over real sockets, against committed transcripts.
// A failure names the case and prints the lines that are gone (-) and new (+). A change that is meant is
// recorded with WEIR_RECORD_TRANSCRIPTS=1, which writes Tests/Transcripts anew; the commit shows the change.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct TranscriptTests {
    /// One version, whose budget for repeats no order of cases uses up.
    private static func alone(_ servers: [SocketAddress]) -> ModelPlan {
        var model = ModelPlan.trial([.version(0, "stable", 1_000_000, [servers[0]])])
        model.retries = RetryPlan(attemptsMax: 1, budgetPPM: 1_000_000)
        model.sendsID = true
        return model
    }

    @Test("Every good request and every response pass as they did")
    func answers() throws {
        let requests = TranscriptCorpus.requests
        let parts = try Self.inParts(requests.count) { index in
            let request = requests[index]
            let stage = try TranscriptStage(servers: 1, Self.alone)
            var part = Transcript()
            for response in TranscriptCorpus.responses {
                let played = try stage.play(request.bytes, method: request.method) { _, _ in response.answer }
                part.add(request.name, response.name, played)
            }
            return part
        }
        var transcript = Transcript()
        for part in parts { transcript.add(part) }
        try Self.expectAsRecorded(transcript, "answers")
    }

    @Test("Every hostile request is refused as it was, and no server sees more of it")
    func refusals() throws {
        let stage = try TranscriptStage(servers: 1, Self.alone)
        var transcript = Transcript()
        for request in TranscriptCorpus.refused {
            let played = try stage.play(request.bytes, method: request.method) { _, _ in
                TranscriptCorpus.usual
            }
            transcript.add(request.name, "usual", played)
        }
        try Self.expectAsRecorded(transcript, "refusals")
    }

    @Test("A request that is sent again, shielded or held in line goes out as it did")
    func repeats() throws {
        let again = try TranscriptStage(servers: 1, Self.alone)
        let shielded = try TranscriptStage(servers: 2) { servers in
            var model = Self.alone(servers)
            model.versions[0].weightPPM = 0
            model.versions.append(.version(1, "candidate", 1_000_000, [servers[1]]))
            model.versions[0].rewrite.addHeaders = [RewritePlan.HeaderPair(name: "x-arm", value: "stable")]
            model.versions[0].rewrite.removeHeaders = ["x-sum", "x-kept"]
            return model
        }
        let waiting = try TranscriptStage(servers: 1) { servers in
            var model = Self.alone(servers)
            model.versions[0].inFlightMax = 1
            model.versions[0].queueTimeout = .seconds(600)
            return model
        }
        var transcript = Transcript()
        for request in TranscriptCorpus.requests {
            let (bytes, method) = (request.bytes, request.method)
            let broken = ScriptedAnswer(bytes: latin(reply(503, "broken")), closes: false)
            transcript.add(
                request.name, "again",
                try again.play(bytes, method: method) { _, attempt in
                    attempt == 0 ? nil : TranscriptCorpus.usual
                })
            transcript.add(
                request.name, "shielded",
                try shielded.play(bytes, method: method) { server, _ in
                    server == 1 ? broken : TranscriptCorpus.usual
                })
            let blocker = try WatchedSocket(to: waiting.plane.data.addresses[0])
            transcript.add(
                request.name, "waiting",
                try waiting.play(bytes, method: method, occupiedBy: blocker) { _, _ in TranscriptCorpus.usual
                })
        }
        try Self.expectAsRecorded(transcript, "repeats")
    }

    @Test("Copies are sent and their answers are read as they were")
    func copies() throws {
        let stage = try TranscriptStage(servers: 2) { servers in
            var model = Self.alone(servers)
            model.versions.append(.version(1, "shadow", 0, [servers[1]]))
            model.shadow = ShadowPlan(version: 1, ppm: 1_000_000, ageMax: .seconds(600))
            return model
        }
        var transcript = Transcript()
        var before = stage.plane.counts(1)
        func record(_ request: CorpusRequest, _ name: String, _ answer: ScriptedAnswer) throws {
            let played = try stage.play(request.bytes, method: request.method) { server, _ in
                server == 1 ? answer : TranscriptCorpus.usual
            }
            try eventually("the end of a copy") { stage.plane.core[.shadows] == 0 }
            let after = stage.plane.counts(1)
            transcript.add(request.name, name, played, others: [Self.copies(before, after)])
            before = after
        }
        for request in TranscriptCorpus.requests { try record(request, "usual", TranscriptCorpus.usual) }
        for name in ["GET", "HEAD"] {
            guard let request = TranscriptCorpus.requests.first(where: { $0.method == name }) else {
                continue
            }
            for response in TranscriptCorpus.responses { try record(request, response.name, response.answer) }
        }
        try Self.expectAsRecorded(transcript, "copies", sides: 3)
    }

    /// What came of the copies between two readings.
    private static func copies(_ before: VersionCounts, _ after: VersionCounts) -> String {
        var words = ["copies sent: \(after.shadowSent - before.shadowSent)"]
        for outcome in Outcome.allCases {
            let index = Int(outcome.rawValue)
            let count = after.shadowOutcomes[index] - before.shadowOutcomes[index]
            if count > 0 { words.append("\(outcome.label) \(count)") }
        }
        for drop in ShadowDrop.allCases {
            let index = Int(drop.rawValue)
            let count = after.shadowDrops[index] - before.shadowDrops[index]
            if count > 0 { words.append("dropped \(drop.label) \(count)") }
        }
        return words.joined(separator: ", ")
    }

    private static func expectAsRecorded(_ transcript: Transcript, _ name: String, sides: Int = 2) throws {
        #expect(!transcript.cases.isEmpty)
        for report in try transcript.compare(with: name, sides: sides) {
            Issue.record("\(name): \(report)")
        }
    }

    /// The parts in order, made by a few threads.
    private static func inParts(
        _ count: Int, _ make: @escaping @Sendable (Int) throws -> Transcript
    ) throws -> [Transcript] {
        let made = try Notes<(Int, Transcript)>()
        let failures = try Notes<String>()
        let threads = 3
        let players = try (0..<threads).map { thread in
            try Thread.spawn(name: "transcript-\(thread)") {
                for index in stride(from: thread, to: count, by: threads) {
                    do { made.add((index, try make(index))) } catch { failures.add("\(index): \(error)") }
                }
            }
        }
        for player in players { player.join() }
        #expect(failures.all == [])
        return made.all.sorted { $0.0 < $1.0 }.map(\.1)
    }
}
