// The order of the rules, and the gate behind them: forced, cohort, sticky, random; barred and quarantined
// versions are never chosen; what a cut moves, it moves to stable.
// Place: `assign` and `fallback` as a core calls them.
// Invariant tested: no switch word and no rule gives traffic to a version that may have none.

import Platform
import Testing

@testable import Proxy

@Suite("The order of assignment's rules")
struct AssignOrderTests {
    private static let rules = model(
        ["v1": 900_000, "v2": 60_000, "v3": 40_000],
        cohorts: [CohortPlan(name: "staff", conditions: [.header(name: "x-staff", .exact("1"))], version: 1)],
        sticky: [.header("x-user")])

    private static let everything = Ask(headers: [
        ("x-weir-version", "v3"), ("x-staff", "1"), ("x-user", "ann"),
    ])

    @Test("A forced version comes first, and only a trusted caller can force")
    func forced() {
        let table = AssignTable(models: [Self.rules], trusted: [])
        let trusted = table.assign(Self.everything, isTrusted: true)
        #expect(trusted?.reason == .forced && trusted?.version == 2 && trusted?.isRandomised == false)
        #expect(trusted?.cohort == Assignment.noCohort && trusted?.keyHash == 0)
        let stranger = table.assign(Self.everything)
        #expect(stranger?.reason == .cohort && stranger?.version == 1 && stranger?.cohort == 0)
        #expect(stranger?.isRandomised == false)
        var unknown = Self.everything
        unknown.headers[0].1 = "v9"
        #expect(table.assign(unknown, isTrusted: true)?.reason == .cohort)
        unknown.headers.removeFirst(2)
        let sticky = table.assign(unknown, isTrusted: true)
        #expect(sticky?.reason == .sticky && sticky?.isRandomised == true && sticky?.keyHash != 0)
        unknown.headers.removeFirst()
        let random = table.assign(unknown, isTrusted: true)
        #expect(random?.reason == .random && random?.isRandomised == true && random?.keyHash == 0)
    }

    @Test("A trusted caller can force in a model that looks at nothing else")
    func forcedInPlainModel() {
        let table = AssignTable(models: [model()], trusted: [])
        #expect(table.assign(Ask(headers: [("X-Weir-Version", "v2")]), isTrusted: true)?.reason == .forced)
        #expect(table.assign(Ask(headers: [("X-Weir-Version", "v2")]))?.reason == .random)
    }

    @Test("The name of a part of a version forces nothing, and is explained as unknown; no name is no name")
    func forcedPart() {
        var plan = model(["v1": 900_000, "v2": 50_000, "v1 (control)": 50_000])
        plan.control = 2
        let table = AssignTable(models: [plan], trusted: [])
        for name in ["v1 (control)", ""] {
            let ask = Ask(headers: [("x-weir-version", name)])
            #expect(table.assign(ask, isTrusted: true)?.reason == .random, "'\(name)'")
        }
        let stable = table.assign(Ask(headers: [("x-weir-version", "v1")]), isTrusted: true)
        #expect(stable?.reason == .forced && stable?.version == 0)
        let peer = IPAddress(ipv4: 0x7F00_0001)
        let explainer = Explainer(models: [plan], trusted: [AddressRange(base: peer, prefixBits: 128)])
        let told = explainer.explain(path: "/", headers: [("x-weir-version", "v1 (control)")], client: peer)
        #expect(told.forced == .unknown(name: "v1 (control)"))
    }

    @Test("A barred version is replaced by stable, whichever rule chose it, and its weight goes there")
    func barred() {
        let table = AssignTable(models: [Self.rules], trusted: [])
        let switches = Switches(word: 0b110)
        for isTrusted in [true, false] {
            let result = table.assign(Self.everything, isTrusted: isTrusted, switches: switches)
            #expect(result?.reason == .cut && result?.version == 0 && result?.isRandomised == false)
            #expect(result?.weightPPM == 1_000_000)
        }
        #expect(table.weight(of: 0, model: 0, switches: Switches(word: 0b010)) == 960_000)
        #expect(table.weight(of: 1, model: 0, switches: Switches(word: 0b010)) == 0)
        #expect(table.weight(of: 2, model: 0, switches: Switches(word: 0b010)) == 40_000)
    }

    @Test("A cut moves the barred version's keys to stable and no others")
    func cutMovesOnlyItsKeys() {
        let table = AssignTable(models: [Self.rules], trusted: [])
        var moved = 0
        for key in 0..<20_000 {
            let ask = Ask(headers: [("x-user", "\(key)")])
            let before = table.assign(ask)
            let after = table.assign(ask, switches: Switches(word: 0b010))
            if before?.version == 1 {
                #expect(after?.version == 0 && after?.reason == .cut && after?.isRandomised == true)
                moved += 1
            } else {
                #expect(after?.version == before?.version && after?.reason == .sticky)
            }
        }
        #expect(moved > 1_000)
    }

    @Test("A cut split sends everything to stable")
    func splitCut() {
        let table = AssignTable(models: [Self.rules], trusted: [])
        var random = Random64(seed: testSeed(51))
        let cut = Switches(word: Switches.splitCut)
        #expect(table.assign(Self.everything, isTrusted: true, switches: cut)?.version == 0)
        for key in 0..<2_000 {
            let ask = Ask(headers: key % 2 == 0 ? [("x-user", "\(key)")] : [])
            let result = table.assign(ask, switches: cut, random: &random)
            #expect(result?.version == 0 && result?.weightPPM == 1_000_000)
        }
    }

    @Test("A quarantined version is chosen by no rule, and stable has its weight")
    func quarantined() {
        var plan = Self.rules
        plan.versions[1].isQuarantined = true
        let table = AssignTable(models: [plan], trusted: [])
        #expect(table.assign(Self.everything)?.version == 0)
        #expect(table.assign(Self.everything)?.reason == .cut)
        var forced = Self.everything
        forced.headers[0].1 = "v2"
        #expect(table.assign(forced, isTrusted: true)?.version == 0)
        for key in 0..<5_000 {
            let result = table.assign(Ask(headers: [("x-user", "\(key)")]))
            #expect(result?.version != 1 && result?.reason == .sticky)
            if result?.version == 0 { #expect(result?.weightPPM == 960_000) }
        }
    }

    @Test("Where stable itself is barred the heaviest other version serves; where all are, none does")
    func stableBarred() {
        let table = AssignTable(models: [Self.rules], trusted: [])
        let ask = Ask(headers: [("x-user", "ann")])
        let heir = table.assign(ask, switches: Switches(word: 0b001))
        #expect(heir?.hasVersion == true && heir?.version != 0)
        #expect(table.weight(of: 1, model: 0, switches: Switches(word: 0b001)) == 960_000)
        #expect(table.assign(ask, switches: Switches(word: 0b111))?.hasVersion == false)
        // A cut split never bars stable: its bits may come from a plan with other indices.
        #expect(table.assign(ask, switches: Switches(word: 0b111 | Switches.splitCut))?.version == 0)
    }

    @Test("No random plan, request or switch word leads to a barred or quarantined version")
    func neverBarred() {
        let seed = testSeed(52)
        var random = Random64(seed: seed)
        for _ in 0..<300 {
            var plan = Self.rules
            for index in plan.versions.indices { plan.versions[index].isQuarantined = random.below(4) == 0 }
            plan.stable = Int(random.below(3))
            let table = AssignTable(models: [plan], trusted: [])
            for _ in 0..<30 {
                let word = random.below(8) | (random.below(4) == 0 ? Switches.splitCut : 0)
                var ask = Self.everything
                ask.headers.removeFirst(Int(random.below(4)))
                guard
                    let result = table.assign(
                        ask, isTrusted: random.below(2) == 0, switches: Switches(word: word),
                        random: &random),
                    result.hasVersion
                else { continue }
                let version = Int(result.version)
                #expect(!plan.versions[version].isQuarantined, "seed \(seed)")
                if word & Switches.splitCut != 0 {
                    #expect(version == plan.stable, "seed \(seed)")
                } else {
                    #expect(word >> UInt64(version) & 1 == 0, "seed \(seed)")
                }
            }
        }
    }

    @Test("Weights in force sum to one million under every switch word that leaves a version")
    func weightsSum() {
        let table = AssignTable(models: [Self.rules], trusted: [])
        for word: UInt64 in 0..<7 {
            let weights = (0..<3).map {
                table.weight(of: UInt8($0), model: 0, switches: Switches(word: word))
            }
            #expect(weights.reduce(0, +) == 1_000_000)
        }
    }

    @Test("A version without weight is warm, not dealt: only rules that name it reach it")
    func weightZero() {
        let table = AssignTable(
            models: [model(["v1": 1_000_000, "v2": 0], sticky: [.header("x-user")])], trusted: [])
        for key in 0..<2_000 { #expect(table.assign(Ask(headers: [("x-user", "\(key)")]))?.version == 0) }
        let forced = table.assign(Ask(headers: [("x-weir-version", "v2")]), isTrusted: true)
        #expect(forced?.version == 1 && forced?.weightPPM == 0)
    }

    @Test("Each model has rules, salt and versions of its own")
    func models() {
        var other = Self.rules
        other.salt = 1_234
        other.versions[0].name = "w1"
        let table = AssignTable(models: [Self.rules, other], trusted: [])
        let ask = Ask(headers: [("x-user", "ann")])
        #expect(table.assign(ask, model: 0)?.keyHash != table.assign(ask, model: 1)?.keyHash)
        #expect(
            table.assign(Ask(headers: [("x-weir-version", "w1")]), model: 1, isTrusted: true)?.reason
                == .forced)
        #expect(
            table.assign(Ask(headers: [("x-weir-version", "w1")]), model: 0, isTrusted: true)?.reason
                == .random)
    }

    @Test("Every reason has a word of its own")
    func labels() {
        #expect(Set(AssignmentReason.allCases.map(\.label)).count == AssignmentReason.allCases.count)
    }
}
