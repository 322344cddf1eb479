// The config of every scenario, read by Weir's own loader: valid, about the model that the demo asks, and
// with the guardrail that the scenario is to be cut by.

import Config
import Control
import Platform
import Testing

@testable import Demo

@Suite("Demo config")
struct DemoConfigTests {
    private func model(_ scenario: Scenario) throws -> ModelConfig {
        let address = SocketAddress.ip(IPAddress(ipv4: 0x7F00_0001), port: 9_001)
        let other = SocketAddress.ip(IPAddress(ipv4: 0x7F00_0001), port: 9_002)
        let text = DemoConfig.text(scenario, stable: address, candidate: other, stateFolder: "state")
        let config = try ConfigLoader.parse(text, file: "demo").get()
        return try #require(config.models.first)
    }

    @Test("Weir accepts every scenario's config", arguments: Scenario.allCases)
    func accepted(_ scenario: Scenario) throws {
        let model = try model(scenario)
        #expect(model.name == DemoConfig.model)
        #expect(model.candidates == [DemoConfig.candidate])
        #expect(model.guardrails.count >= 2)
    }

    @Test("The guardrail that a scenario is about is watched", arguments: Scenario.allCases)
    func rule(_ scenario: Scenario) throws {
        guard let rule = scenario.rule else { return }
        let names = try model(scenario).guardrails.map(\.name)
        #expect(names.contains { $0.hasPrefix(rule) }, "\(names)")
    }

    @Test(
        "A scenario has a line in the list, and a fault exactly when it is bad", arguments: Scenario.allCases)
    func described(_ scenario: Scenario) {
        #expect(scenario.abstract.count <= 68, "as wide as the help's column")
        #expect(!scenario.sentence.isEmpty)
        #expect((scenario.fault != scenario.usual) == scenario.isBad)
    }
}
