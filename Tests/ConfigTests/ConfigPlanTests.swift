// From a config to plans, over reloads: weights that always add up, quarantines that always hold, slots that
// stay with their names, the sentences of a reload, and the answer of `weir check`. Random tests name their
// seed; the others take the example config apart.

import ConfigSamples
import Platform
import Proxy
import Testing

@testable import Config

/// A config with these models, each with its versions; the first version is stable, the others candidates.
private func config(_ models: [(name: String, versions: [String])], top: String = "") throws -> Config {
    var text = top + "listeners: [{ listen: 127.0.0.1:8080 }]\nmodels:\n"
    for model in models {
        text +=
            "  - name: \(model.name)\n    match: { host: \(model.name) }\n    stable: \(model.versions[0])\n"
        text += "    candidates: [\(model.versions.dropFirst().joined(separator: ", "))]\n    versions:\n"
        for version in model.versions { text += "      \(version): { endpoints: [127.0.0.1:9001] }\n" }
    }
    return try ConfigSample.file(text).config()
}

@Test("A plan carries everything that the config says")
private func planIsComplete() throws {
    let path = configTestRoot + "/deploy/weir.yaml"
    let text = String(decoding: try File.readAll(path, bytesMax: 1 << 20), as: UTF8.self)
        .replacing("client_half_close: cancel", with: "client_half_close: ignore")
    let config = try ConfigSample.file(text).config()
    var slots = SlotTable()
    let plan = try PlanBuilder.plan(from: config, slots: &slots, epoch: 1)
    #expect(plan.epoch == 1)
    #expect(plan.accessLogPPM == 100_000)
    #expect(plan.trusted == config.trusted)
    let model = plan.models[0]
    let configured = config.models[0]
    #expect(model.versions.map(\.weightPPM) == [950_000, 50_000])
    #expect(model.stable == 0)
    #expect(model.cohorts.map(\.version) == [1, 0, 1])
    #expect(model.cohorts.map(\.conditions) == configured.cohorts.map(\.conditions))
    #expect(model.shadow?.version == 1)
    #expect(model.shadow?.inFlightMax == 64)
    #expect(model.stickyKeys == configured.stickyKeys)
    #expect(model.salt == configured.salt)
    #expect(model.timeouts == configured.timeouts)
    #expect(model.retries == configured.retries)
    #expect(model.clientHalfClose == .ignore && plan.models[1].clientHalfClose == .cancel)
    for (version, configured) in zip(model.versions, configured.versions) {
        #expect(version.endpoints.allSatisfy { $0.isChecked == (configured.healthCheck != nil) })
    }
    #expect(model.versions[1].rewrite == configured.versions[1].rewrite)
    #expect(model.versions[0].queueTimeout == .millis(500))
    #expect(model.versions[0].endpoints.map(\.slot) == [0, 1])
    #expect(plan.models.map(\.slot) == [0, 1])
}

@Test(
    "The weights of every model sum to exactly 1,000,000, and a quarantined version has none",
    arguments: [1, 2, 3, 4])
private func weightsSum(_ seed: UInt64) throws {
    var random = Random64(seed: seed)
    for _ in 0..<250 {
        let names = (0...random.below(9)).map { "v\($0)" }
        let config = try config([("m", names)])
        var asked: [String: UInt32] = [:]
        for name in names + ["gone"] where random.below(3) > 0 {
            asked[name] = random.below(8) == 0 ? UInt32.max : UInt32(random.below(1_200_000))
        }
        let quarantined = Set(names.dropFirst().filter { _ in random.below(4) == 0 } + ["other"])
        var slots = SlotTable()
        let plan = try PlanBuilder.plan(
            from: config, slots: &slots,
            overrides: PlanOverrides(weights: ["m": asked], quarantined: ["m": quarantined]), epoch: 1)
        let versions = plan.models[0].versions
        #expect(versions.reduce(0) { $0 + $1.weightPPM } == 1_000_000, "seed \(seed)")
        for version in versions {
            #expect(version.isQuarantined == quarantined.contains(version.name), "seed \(seed)")
            if version.isQuarantined { #expect(version.weightPPM == 0, "seed \(seed)") }
            if version.name != "v0", asked[version.name] == nil { #expect(version.weightPPM == 0) }
        }
    }
}

@Test("Weights that fit are taken as they are; stable has the rest, whatever is asked for it")
private func weightsAreTaken() throws {
    let model = try config([("m", ["s", "a", "b"])]).models[0]
    let cases: [([String: UInt32], Set<String>, [UInt32])] = [
        ([:], [], [1_000_000, 0, 0]),
        (["a": 10_000, "b": 20_000], [], [970_000, 10_000, 20_000]),
        (["a": 10_000, "b": 20_000, "s": 5], [], [970_000, 10_000, 20_000]),
        (["a": 10_000, "b": 20_000], ["a"], [980_000, 0, 20_000]),
        (["a": 1_000_000], [], [0, 1_000_000, 0]),
        (["a": 900_000, "b": 900_000], [], [0, 500_000, 500_000]),
    ]
    for (asked, quarantined, weights) in cases {
        #expect(PlanBuilder.weights(of: model, asked: asked, quarantined: quarantined) == weights)
    }
}

@Test("A weight for a version that is no candidate any more goes to stable, also one that was stable before")
private func onlyCandidatesHaveWeight() throws {
    let text = """
        listeners: [{ listen: 127.0.0.1:8080 }]
        models:
          - name: m
            versions: { v1: { endpoints: [127.0.0.1:1] }, v2: { endpoints: [127.0.0.1:2] } }
            stable: v2
        """
    let model = try ConfigSample.file(text).config().models[0]
    let asked: [String: UInt32] = ["v1": 950_000, "v2": 50_000]
    #expect(PlanBuilder.weights(of: model, asked: asked, quarantined: []) == [0, 1_000_000])
}

@Test("A quarantined version cannot be stable: there is no plan, and the slots are as before")
private func quarantinedStableIsRefused() throws {
    let config = try config([("m", ["v1", "v2"])])
    var slots = SlotTable()
    let overrides = PlanOverrides(quarantined: ["m": ["v1"]])
    #expect(throws: PlanProblem.stableIsQuarantined(model: "m", version: "v1")) {
        try PlanBuilder.plan(from: config, slots: &slots, overrides: overrides, epoch: 1)
    }
    #expect(slots.slot(model: "m") == nil)
}

@Test("Names keep their slots over reloads; a freed slot is given out only after a plan without it is obeyed")
private func slotsAreStable() throws {
    var slots = SlotTable()
    func load(_ models: [(name: String, versions: [String])], epoch: UInt64) throws {
        _ = try PlanBuilder.plan(from: try config(models), slots: &slots, epoch: epoch)
    }
    try load([("a", ["v1", "v2"]), ("b", ["v1"])], epoch: 1)
    #expect(slots.slot(model: "a", version: "v2") == 1)
    #expect(slots.slot(model: "b", version: "v1") == 2)
    try load([("b", ["v1", "v9"])], epoch: 2)
    #expect(slots.slot(model: "a") == nil)
    #expect(slots.slot(model: "b") == 1)
    #expect(slots.slot(model: "b", version: "v1") == 2)
    #expect(slots.slot(model: "b", version: "v9") == 3, "slots 0 and 1 are still in use by the plan before")
    slots.obeyed(epoch: 1)
    try load([("b", ["v1", "v9", "v10"])], epoch: 3)
    #expect(slots.slot(model: "b", version: "v10") == 4)
    // v2 comes back before its slot is free: it is the same version and has the same counters.
    try load([("a", ["v2"]), ("b", ["v1", "v9", "v10"])], epoch: 4)
    #expect(slots.slot(model: "a", version: "v2") == 1)
    #expect(slots.slot(model: "a") == 0)
    slots.obeyed(epoch: 4)
    try load([("a", ["v2", "v3"]), ("b", ["v1", "v9", "v10"])], epoch: 5)
    #expect(slots.slot(model: "a", version: "v3") == 0)
}

@Test("No slot has two names in plans that cores may obey at the same time", arguments: [21, 22, 23])
private func slotsNeverCollide(_ seed: UInt64) throws {
    var random = Random64(seed: seed)
    var lane = SlotLane<Int>(capacity: 12)
    // The plan that every core obeys at least, and those published since.
    var plans: [(epoch: UInt64, names: [Int: Int])] = []
    var built = 0
    for epoch in 1...500 as ClosedRange<UInt64> {
        let keys = Array((0..<20).filter { _ in random.below(4) == 0 }.prefix(6))
        var next = lane
        guard next.assign(keys, epoch: epoch) else {
            // Too many names still drain; the plans so far get obeyed, and the next reload succeeds.
            if let last = plans.last {
                lane.free(upTo: last.epoch)
                plans = [last]
            }
            continue
        }
        lane = next
        built += 1
        var names: [Int: Int] = [:]
        for key in keys {
            let slot = try #require(lane.slot(of: key))
            #expect((0..<12).contains(slot), "seed \(seed)")
            #expect(names.updateValue(key, forKey: slot) == nil, "seed \(seed)")
            for plan in plans { #expect(plan.names[slot] ?? key == key, "seed \(seed)") }
        }
        plans.append((epoch, names))
        if random.below(2) == 0 {
            let obeyed = plans[Int(random.below(UInt64(plans.count)))].epoch
            lane.free(upTo: obeyed)
            plans.removeAll { $0.epoch < obeyed }
        }
    }
    #expect(built > 100)
}

@Test("More names than slots, while removed ones still drain, is a problem and not a trap")
private func slotsRunOut() {
    var lane = SlotLane<Int>(capacity: 3)
    let first = lane.assign([1, 2, 3], epoch: 1)
    var full = lane
    let second = full.assign([4], epoch: 2)
    #expect(first && !second)
    let third = lane.assign([1], epoch: 2)
    lane.free(upTo: 2)
    let fourth = lane.assign([1, 4, 5], epoch: 3)
    #expect(third && fourth)
    #expect(Set([1, 4, 5].map { lane.slot(of: $0) }) == [0, 1, 2])
}

@Test("A reload says what it changes")
private func diffSaysChanges() throws {
    let old = """
        listeners: [{ listen: 127.0.0.1:8080 }]
        models:
          - name: m
            versions:
              v1: { endpoints: [127.0.0.1:9001] }
              v2: { endpoints: [127.0.0.1:9002] }
            stable: v1
            candidate: v2
            weights: { v2: 5% }
            cohorts: [{ name: staff, when: { path: /a }, version: v2 }]
            guardrails: [{ kind: error_rate, above: 2% }]
          - { name: gone, match: { host: g }, versions: { v1: { endpoints: [127.0.0.1:9001] } } }
        """
    let new = old.replacing("9002", with: "9003").replacing("5%", with: "10%").replacing("2%", with: "3%")
        .replacing("path: /a", with: "path: /b").replacing("name: gone", with: "name: fresh")
        .replacing("stable: v1", with: "stable: v1\n    shield: false\n    shadow: { version: v2 }")
        .replacing("shield: false", with: "shield: false\n    client_half_close: ignore")
    let diff = ConfigDiff(
        from: try ConfigSample.file(old).config(), to: try ConfigSample.file(new).config())
    #expect(diff.refusals == [])
    #expect(
        diff.changes == [
            "model m: endpoints of v2: 127.0.0.1:9002 -> 127.0.0.1:9003",
            "model m: weight of v2: 5% -> 10%",
            "model m: the conditions of cohort staff change",
            "model m: shadow: none -> v2, 100%",
            "model m: guardrail error_rate_above changes and starts with new evidence",
            "model m: shield: true -> false",
            "model m: client_half_close: cancel -> ignore",
            "model fresh is new, with v1",
            "model gone is gone",
        ])
}

@Test("The same config changes nothing, and neither do comments")
private func diffOfSame() throws {
    let path = configTestRoot + "/deploy/weir.yaml"
    let text = String(decoding: try File.readAll(path, bytesMax: 1 << 20), as: UTF8.self)
    let diff = ConfigDiff(
        from: try ConfigSample.file(text).config(), to: try ConfigSample.file(text + "# more\n").config())
    #expect(diff.changes == [])
    #expect(diff.refusals == [])
}

@Test(
    "What is set up once is refused on reload, with a sentence that names it",
    arguments: [
        "admin: { listen: 127.0.0.1:9903 }\n", "state_dir: /elsewhere\n", "cores: 3\n",
        "limits: { upstreams_max: 7 }\n",
    ])
private func diffRefuses(_ top: String) throws {
    let old = try config([("m", ["v1"])])
    let diff = ConfigDiff(from: old, to: try config([("m", ["v1"])], top: top))
    #expect(diff.changes == [])
    #expect(diff.refusals.count == 1)
    #expect(diff.refusals.first?.contains(String(top.prefix { $0 != ":" })) == true)
    #expect(diff.refusals.first?.contains("restart") == true)
}

@Test("Every difference between two configs is a change or a refusal")
private func diffMissesNothing() throws {
    let path = configTestRoot + "/deploy/weir.yaml"
    let text = String(decoding: try File.readAll(path, bytesMax: 1 << 20), as: UTF8.self)
    var lines = text.split(separator: "\n").filter { !$0.drop { $0 == " " }.hasPrefix("#") }
    lines.removeAll { $0.isEmpty }
    var old = try ConfigSample.file(lines.joined(separator: "\n")).config()
    var differences = 0
    for index in lines.indices {
        var edited = lines
        let removed = edited.remove(at: index)
        guard case .success(let new) = ConfigSample.file(edited.joined(separator: "\n")).read() else {
            continue
        }
        old.digest = new.digest
        let diff = ConfigDiff(from: old, to: new)
        #expect((old == new) == (diff.changes.isEmpty && diff.refusals.isEmpty), "without \(removed)")
        differences += old == new ? 0 : 1
    }
    #expect(differences > 20)
}

@Test("A reload that changes admin is refused with the address that verbs need until the restart")
private func adminNeedsRestart() throws {
    let old = try ConfigSample.top("admin: { listen: 127.0.0.1:7001 }").config()
    let new = try ConfigSample.top("admin: { listen: 127.0.0.1:7002 }").config()
    let refusals = ConfigDiff(from: old, to: new).refusals
    #expect(refusals.count == 1 && refusals[0].contains("changed from 127.0.0.1:7001 to 127.0.0.1:7002"))
    #expect(refusals[0].contains("needs a restart") && refusals[0].hasSuffix("--admin 127.0.0.1:7001"))
    #expect(ConfigDiff(from: old, to: old).refusals.isEmpty)
}

@Test("`weir check` ends with 78 and every problem of a bad config, and counts the rest of very many")
private func checkReports() {
    let bad = ConfigSample.top("cores: 0\nstate_dir:")
    let check = ConfigCheck.of(bad.read(), file: "weir.yaml")
    #expect(check.exitCode == 78)
    #expect(
        check.text.hasPrefix("weir.yaml:1:8: cores: wrong value '0'; expected a whole number from 1 to 256\n")
    )
    #expect(check.text.hasSuffix("weir.yaml: 2 problems\n"))
    let many = ConfigSample.top("trusted_proxies: [\((0..<250).map { "x\($0)" }.joined(separator: ", "))]")
    let text = ConfigCheck.of(many.read(), file: "weir.yaml").text
    #expect(text.contains("… and 150 more\n"))
    #expect(text.split(separator: "\n").count == 102)
}

@Test("A problem's description stays one line, whatever the file holds")
private func descriptionsStayOneLine() {
    let sample = ConfigSample.top("cores: \"a\\nb\\e[31m" + String(repeating: "x", count: 500) + "\"")
    let text = sample.problems.map(\.description).joined()
    #expect(!text.contains("\n"))
    #expect(!text.contains("\u{1B}"))
    #expect(text.count < 200)
}
