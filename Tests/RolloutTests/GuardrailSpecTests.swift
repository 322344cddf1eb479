// Laws of the guardrails that a candidate gets without any configuration.

import Foundation
import Rollout
import Testing

@Suite struct GuardrailSpecTests {
    @Test("the default guardrails share the rollout's alpha and spend no more", arguments: [0.01, 0.05])
    func alphaIsShared(alpha: Double) {
        let specs = GuardrailSpec.defaults(alpha: alpha)
        #expect(abs(specs.reduce(0) { $0 + $1.alpha } - alpha) < 1e-15)
        #expect(Set(specs.map(\.name)).count == specs.count)
    }

    @Test("window rules keep away from the alpha of sequential ones")
    func windowRulesSpendNothing() {
        let window = GuardrailSpec(name: "w", measure: .errorRate, rule: .windowAbove(0.02), alpha: 0)
        let test = GuardrailSpec(
            name: "s", measure: .errorRate,
            rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.5, materialDifference: 0.001))
        let shared = GuardrailSpec.share(alpha: 0.01, among: [window, test])
        #expect(shared.map(\.alpha) == [0, 0.01])
    }

    @Test("a rule saved before it could be a dry run loads as it was, and what it says now survives")
    func savedRulesLoad() throws {
        var spec = GuardrailSpec(name: "e", measure: .errorRate, rule: .windowAbove(0.02))
        let old = try JSONEncoder().encode(spec)
        #expect(!String(decoding: old, as: UTF8.self).contains("dryRun"))
        #expect(try JSONDecoder().decode(GuardrailSpec.self, from: old) == spec)
        spec.isDryRun = true
        spec.runbookURL = "https://runbooks/e"
        spec.time = .firstByte
        spec.action = .hold
        let back = try JSONDecoder().decode(GuardrailSpec.self, from: JSONEncoder().encode(spec))
        #expect(back == spec && back.isDryRun && back.time == .firstByte)
    }
}
