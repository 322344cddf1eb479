// Laws of the guardrails that a candidate gets without any configuration.

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
}
