// What pages say: rules that sleep, weight that waits for its checks, models without guardrails,
// promotions, and rollouts that nobody asks anything of yet.

import ConfigSamples
import Metrics
import Payload
import Platform
import Rollout
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

@Suite struct TruthOnPagesTests {
    private func status(_ world: World) -> JSON { StatusPage.page(of: world)["models"]?[0] ?? .null }

    private func verb(_ world: World, _ verb: AdminVerb) throws -> JSON {
        let replies = Replies()
        world.loop.obey(verb, actor: "test", reply: replies.take)
        world.settle()
        return try replies.json()
    }

    private static let checked = World.yaml.replacing(
        "weights:", with: "preflight: { identity: { path: /v, json: $.v } }\n    weights:")

    @Test("A fixed weight waits until the checks of its candidate have passed once, and pages say why")
    func held() throws {
        let world = try World(Self.checked)
        world.step(3)
        func weights() -> [UInt32] { world.plane.last?.models[0].versions.map(\.weightPPM) ?? [] }
        #expect(weights() == [1_000_000, 0, 0])
        #expect(status(world)["held"]?.elements.count == 2)
        func report(_ candidate: String, _ reading: PreflightReading, _ reason: String) {
            world.loop.take(
                PreflightReport(model: "m", candidate: candidate, reading: reading, reason: reason))
            world.step(2)
        }
        report("v2", .unknown, "answered 0 of 5 warm-up requests")
        #expect(weights() == [1_000_000, 0, 0])
        #expect(
            status(world)["held"]?[0]?["reason"]?.string == "answered 0 of 5 warm-up requests")
        let answer = try verb(world, AdminVerb(.weights, model: "m", weights: ["v2": 300_000]))
        #expect(answer["answer"]?.string?.contains("v2 is held at 0%: answered 0 of 5") == true)
        report("v2", .passed, "right")
        #expect(weights() == [700_000, 300_000, 0])
        // What has passed once keeps its weight while its server does not answer.
        report("v2", .unknown, "connection refused")
        #expect(weights() == [700_000, 300_000, 0])
        #expect(status(world)["held"]?.elements.count == 0)
        let summary = ConfigCheck.of(.success(try World.config(Self.checked)), file: "f").text
        #expect(summary.contains("no weight until their checks have passed once"))
    }

    @Test(
        "After a promotion rules against stable compare with it as it was, or sleep, and status says which"
    )
    func withoutStable() throws {
        let world = try World()
        world.step(50) {
            world.requests(0, 70)
            world.requests(1, 20)
        }
        let answer = try verb(world, AdminVerb(.promote, model: "m", version: "v2", force: true))
        let said = answer["answer"]?.string ?? ""
        #expect(said.contains("without stable traffic watching: outage"))
        #expect(
            said.contains("compared with stable as it was (alert): error_rate_worse_than_stable"), "\(said)")
        let words = "compared with stable as it was"
        let compared = said.split(separator: ";").first { $0.contains(words) } ?? ""
        world.step(40) { world.requests(1, 50) }
        let model = status(world)
        #expect(model["phase"]?.string == "promoted" && model["promoted"]?["version"]?.string == "v2")
        let rules = model["versions"]?[1]?["guardrails"]?.elements ?? []
        #expect(rules.count > 3)
        var pinned = 0
        for rule in rules where rule["name"]?.string?.hasSuffix("worse_than_stable") == true {
            let reason = rule["reason"]?.string ?? ""
            let isSaid = compared.contains(rule["name"]?.string ?? "?")
            #expect(rule["pinned"]?.bool == isSaid, "\(reason); \(said)")
            if rule["pinned"]?.bool == true {
                pinned += 1
                #expect(rule["asleep"]?.bool == false && rule["action"]?.string == "alert")
                let words = reason.split(separator: ": ", maxSplits: 2).map(String.init)
                #expect(words.first == "pinned" && words.count == 3, "\(reason)")
                let until = words[1].replacing("compared with v1 as it was until ", with: "")
                #expect(Timestamp.wallMicros(until) != nil, "\(reason)")
            } else {
                #expect(rule["asleep"]?.bool == true && rule["verdict"]?.string == "not_enough_data")
                let parts = reason.split(separator: "; ", maxSplits: 1).map(String.init)
                let since = parts[0].replacing("asleep: no stable traffic since ", with: "")
                #expect(Timestamp.wallMicros(since) != nil, "\(reason)")
                #expect(parts.count == 1 || parts[1].hasPrefix("too few to compare"), "\(reason)")
            }
        }
        #expect(pinned > 0)
        let summary = ConfigCheck.of(.success(try World.config()), file: "f").text
        #expect(summary.contains("without stable traffic: watching: outage"))
    }

    private func asleep(_ world: World) -> String {
        let rules = status(world)["versions"]?[1]?["guardrails"]?.elements ?? []
        let errors = rules.first { $0["name"]?.string == "error_rate_worse_than_stable" }
        return errors?["reason"]?.string ?? ""
    }

    @Test("Since when stable has had no traffic is true after a restart and a reload as well")
    func asleepSince() throws {
        let world = try World(boot: "b")
        world.step(5) {
            world.requests(0, 1)
            world.requests(1, 20)
        }
        _ = try verb(world, AdminVerb(.promote, model: "m", version: "v2", force: true))
        world.step(150) { world.requests(1, 50) }
        let since = try #require(asleep(world).split(separator: ";").first.map(String.init))
        #expect(since.hasPrefix("asleep: no stable traffic since 20"), "\(since)")
        let later = try World(
            saved: try #require(world.ledger.lastState), now: world.now + .seconds(5), boot: "b")
        later.step(50) { later.requests(1, 50) }
        #expect(asleep(later).hasPrefix(since), "\(asleep(later)) for \(since)")
        #expect(asleep(later) == asleep(world))
        later.loop.reconfigure(
            Reconfiguration(
                config: try World.config(World.yaml.replacing("v3: 10%", with: "v3: 11%")), actor: "t",
                reason: "", reply: nil))
        later.step(50) { later.requests(1, 50) }
        #expect(asleep(later).hasPrefix(since), "\(asleep(later)) for \(since)")

        let other = try World(
            World.yaml.replacing("{ v2: 20%, v3: 10% }", with: "{ v2: 100% }"))
        other.step(50) { other.requests(1, 50) }
        let reason = asleep(other)
        #expect(reason.hasPrefix("asleep: no stable traffic since before the watch began at 20"), "\(reason)")
        #expect(reason.contains("; nothing to compare with: none of v1's requests counted"), "\(reason)")
    }

    @Test("Where too little is known of stable, the answer to a promotion and status say that rules sleep")
    func tooLittleKnown() throws {
        let world = try World()
        _ = try verb(world, AdminVerb(.weights, model: "m", weights: ["v2": 990_000], force: true))
        world.step(10) {
            world.requests(0, 1)
            world.requests(1, 20)
        }
        let answer = try verb(world, AdminVerb(.promote, model: "m", version: "v2", force: true))
        let said = answer["answer"]?.string ?? ""
        #expect(!said.contains("compared with stable as it was ("), "\(said)")
        let asleep = "asleep, because too little is known of stable as it was: error_rate_worse_than_stable"
        #expect(said.contains(asleep), "\(said)")
        world.step(40) { world.requests(1, 50) }
        let rules = status(world)["versions"]?[1]?["guardrails"]?.elements ?? []
        let errors = rules.first { $0["name"]?.string == "error_rate_worse_than_stable" }
        #expect(errors?["asleep"]?.bool == true)
        let reason = errors?["reason"]?.string ?? ""
        #expect(reason.contains("; too few to compare with stable as it was: "), "\(reason)")
        #expect(reason.hasSuffix(" of v1's requests counted in a stage that both had"), "\(reason)")
    }

    @Test("A bake too short to know stable by, or a reload of alpha at 100 %, puts no rule to sleep")
    func shortBake() throws {
        let world = try World()
        world.step(50) {
            world.requests(0, 70)
            world.requests(1, 20)
        }
        _ = try verb(world, AdminVerb(.weights, model: "m", weights: ["v2": 990_000], force: true))
        world.step(10) {
            world.requests(0, 1)
            world.requests(1, 20)
        }
        _ = try verb(world, AdminVerb(.promote, model: "m", version: "v2", force: true))
        func errors() -> JSON? {
            let rules = status(world)["versions"]?[1]?["guardrails"]?.elements ?? []
            return rules.first { $0["name"]?.string == "error_rate_worse_than_stable" }
        }
        world.step(40) { world.requests(1, 50) }
        let before = errors()
        #expect(before?["pinned"]?.bool == true && before?["stable_requests"]?.integer ?? 0 > 3_000)
        let changed = try World.config(World.yaml.replacing("weights:", with: "alpha: 2%\n    weights:"))
        world.loop.reconfigure(Reconfiguration(config: changed, actor: "test", reason: "", reply: nil))
        world.settle()
        world.step(40) { world.requests(1, 50) }
        let after = errors()
        #expect(after?["pinned"]?.bool == true && after?["alpha"] != before?["alpha"])
        let reason = after?["reason"]?.string ?? ""
        #expect(after?["stable_requests"] == before?["stable_requests"], "\(reason)")
    }

    @Test("Check says that a rule holds while there is something to hold, in text and in JSON")
    func holdsWithoutStable() throws {
        let list = "guardrails: [{ kind: error_rate, worse_than_stable: true, without_stable: hold }]"
        let config = try World.config(World.yaml.replacing("weights:", with: "\(list)\n    weights:"))
        let sentence =
            "watching: none; compared with stable as it was, or asleep where too little of it is known"
            + " (hold in a stage or a bake, else alert): error_rate_worse_than_stable"
        let text = ConfigCheck.of(.success(config), file: "f").text
        #expect(text.contains("without stable traffic: \(sentence)\n"), "\(text)")
        let model = ConfigCheck.json(config, file: "f", isForHere: false).json["models"]?[0]
        #expect(model?["without_stable_traffic"]?.string == sentence)
        #expect(model?["weights"]?["v2"]?.string == "20%")
        let rule = model?["guardrails"]?[0]
        #expect(rule?["name"]?.string == "error_rate_worse_than_stable")
        #expect(rule?["does"]?.string?.contains("with stable's traffic and as much without") == true)
    }

    @Test(
        "An empty list of guardrails, or none, means none, and check and status say so",
        arguments: ["[]", "none"])
    func none(word: String) throws {
        let world = try World(World.yaml.replacing("weights:", with: "guardrails: \(word)\n    weights:"))
        #expect(world.model.config.guardrails.isEmpty)
        world.step(50) {
            world.requests(0, 70)
            world.requests(1, 20, failing: 20)
        }
        #expect(world.model.decided.cutCount == 0)
        #expect(status(world)["guarded"]?.bool == false)
        let summary = ConfigCheck.of(.success(world.loop.config), file: "f").text
        #expect(summary.contains("NO GUARDRAILS: nothing cuts"))
        #expect(status(try World())["guarded"]?.bool == true)
        let climbs = "guardrails: \(word)\nrollout: { stages: [{ weight: 5% }, { weight: 100% }] }"
        let text = ConfigCheck.of(.success(try ConfigSample.model(climbs).config()), file: "f").text
        #expect(text.contains("only the stages' own conditions hold the rollout") && !text.contains("A/B"))
    }

    @Test("The journal's line of weights that a verb has set names who said it")
    func whoseWeights() throws {
        let world = try World()
        _ = try verb(world, AdminVerb(.weights, model: "m", weights: ["v2": 300_000]))
        let line = world.ledger.events.last { $0.kind == .weights }
        #expect(line?.actor == "test")
    }

    @Test("What waits for pre-flight checks without an answer says why there is none")
    func unanswered() throws {
        let yaml = Self.rollout.replacing(
            "rollout:", with: "preflight: { identity: { path: /v, json: $.v } }\n    rollout:")
        let world = try World(yaml)
        func waits() -> [String] {
            status(world)["rollout"]?["waiting_for"]?.elements.compactMap(\.string) ?? []
        }
        world.step(2)
        #expect(waits() == ["the pre-flight checks, which have no answer yet"])
        for reason in ["v2 at 127.0.0.1:9: refused", "the candidate is cold: w.jsonl cannot be read"] {
            world.loop.take(PreflightReport(model: "m", candidate: "v2", reading: .unknown, reason: reason))
            world.step(2)
            #expect(waits() == ["the pre-flight checks, which have no answer yet: \(reason)"])
        }
    }

    @Test("Status has what a model copies, with its share, and nothing where nothing is copied")
    func shadow() throws {
        #expect(status(try World())["shadow"] == .null)
        for (when, isConditional) in [("", false), (", when: { method: POST }", true)] {
            let yaml = World.yaml.replacing(
                "weights:", with: "shadow: { version: v2, percent: 10%\(when) }\n    weights:")
            let shadow = try #require(status(try World(yaml))["shadow"])
            #expect(shadow["version"]?.string == "v2" && shadow["share"]?.string == "10%")
            #expect(shadow["conditional"]?.bool == isConditional)
        }
    }

    @Test("An explanation by the config says that it is one; by a running Weir's status it does not")
    func explained() throws {
        let world = try World()
        let request = ExplainRequest(path: "/")
        let note = "from the config, not from a running Weir; --admin names one with another config"
        #expect(try request.answer(config: world.loop.config, status: nil).lines.first == note)
        let page: JSON = ["models": [status(world)]]
        #expect(try !request.answer(config: world.loop.config, status: page).lines.contains(note))
    }

    private static let rollout = World.yaml.replacing(
        "candidates: [v2, v3]\n    weights: { v2: 20%, v3: 10% }",
        with: "candidate: v2\n    rollout: { stages: [{ weight: 5%, min_requests: 100 }, { weight: 100% }] }")

    @Test("A rollout without traffic starts at once and says what it waits for; a promoted one says so")
    func starts() throws {
        let world = try World(Self.rollout)
        world.step(10)
        #expect(world.model.decided.phase == .stage)
        world.step(6)
        let rollout = status(world)["rollout"]
        #expect(rollout?["place"]?.string == "stage")
        #expect(rollout?["waiting_for"]?[0]?.string == "100 more requests of 100")
        _ = try verb(world, AdminVerb(.promote, model: "m", version: "v2", force: true))
        #expect(status(world)["rollout"]?["place"]?.string == "promoted")
        _ = try verb(world, AdminVerb(.rollback, model: "m"))
        #expect(status(world)["phase"]?.string == "cut")
        #expect(status(world)["rollout"]?["place"]?.string == "promoted")
        _ = try verb(world, AdminVerb(.retry, model: "m", force: true))
        #expect(status(world)["rollout"]?["place"]?.string == "before")
    }

    @Test("The page lists every kind of journal line, and no other")
    func kinds() throws {
        let path = configTestRoot + "/Sources/Sidecar/Sidecar.docc/Administration.md"
        let page = String(decoding: try File.readAll(path, bytesMax: 1 << 20), as: UTF8.self)
        let start = try #require(page.firstRange(of: "Kinds: "))
        let list = page[start.upperBound...].prefix { $0 != "." }
        let words = list.split(separator: "`").filter { $0.allSatisfy { $0.isLetter || $0 == "_" } }
        let listed = Set(words.map(String.init))
        #expect(listed == Set(JournalEvent.Kind.allCases.map(\.rawValue)))
    }

    @Test("The words of verdicts, phases and states that pages print are defined in one table, and no others")
    func words() throws {
        let path = configTestRoot + "/Sources/Sidecar/Sidecar.docc/Observing.md"
        let page = String(decoding: try File.readAll(path, bytesMax: 1 << 20), as: UTF8.self)
        let start = try #require(page.firstRange(of: "## Words on the pages"))
        let section = page[start.upperBound...].split(separator: "\n").prefix { !$0.hasPrefix("## ") }
        let rows = section.filter { $0.hasPrefix("| ") }
        var defined: [String: Set<String>] = [:]
        for row in rows {
            let cells = row.split(separator: "|").map { $0.filter { $0 != " " } }
            guard cells.count > 2, cells[1].hasPrefix("`") else { continue }
            defined[cells[0], default: []].insert(cells[1].filter { $0 != "`" })
        }
        let climbs: [Climb.Place] = [.before, .stage(0), .baking]
        let record = PromotionRecord(version: "v", wallMicros: 0, actor: "a", reason: "")
        let phases: [RolloutPhase] = [.split, .paused, .waiting, .stage, .baking, .promoted(record)]
        let printed: [String: Set<String>] = [
            "guardrail": Set(Verdict.allCases.map(\.rawValue) + ["asleep", "pinned"]),
            "recovery": Set(RecoveryVerdict.allCases.map(\.rawValue)),
            "phase": Set(phases.map(\.word) + ["held", "cut"]),
            "place": Set(climbs.map(\.word) + ["promoted"]),
            "endpoint": Set(EndpointHealth.allCases.map(\.rawValue)),
            "preflight": ["unknown", "passed", "failed"],
            "trip": ["confirmed", "refuted"],
        ]
        #expect(defined == printed)
    }

    @Test("A rule has the same words in check, in status and in the sentence of its cut")
    func oneWording() throws {
        let world = try World()
        world.step(50) {
            world.requests(0, 70)
            world.requests(1, 20)
            world.requests(2, 10)
        }
        let check = ConfigCheck.of(.success(try World.config()), file: "f").text
        for rule in status(world)["versions"]?[1]?["guardrails"]?.elements ?? [] {
            let sentence = rule["rule"]?.string ?? "-"
            #expect(check.contains("when \(sentence)"), "\(sentence)")
        }
        for _ in 0..<30 where world.model.decided.cutCount == 0 {
            world.step {
                world.requests(0, 70)
                world.requests(1, 20, failing: 10)
            }
        }
        let cut = try #require(world.loop.snapshot.reports.last?.cut)
        #expect(
            cut.reason.hasPrefix("v2: \(try #require(cut.evidence.first { $0.verdict == .fail }).rule): "))
    }

    @Test("The page's table of default rules is the rules' own")
    func defaults() throws {
        let path = configTestRoot + "/Sources/Config/Config.docc/Configuration.md"
        let page = String(decoding: try File.readAll(path, bytesMax: 1 << 20), as: UTF8.self)
        let start = try #require(page.firstRange(of: "### The default guardrails"))
        let table = page[start.upperBound...].split(separator: "\n").drop { !$0.hasPrefix("| **`") }
            .prefix { $0.hasPrefix("| **`") }
        let names = table.map { $0.dropFirst(5).prefix { $0 != "`" } }.map(String.init)
        #expect(names == GuardrailSpec.defaults(alpha: 0.01).map(\.name))
    }
}
