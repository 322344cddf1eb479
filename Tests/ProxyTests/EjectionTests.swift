// Ejection times: they grow while an endpoint keeps failing, and are forgiven while it serves.

import Platform
import Testing

@testable import Proxy

@Suite struct EjectionTests {
    private let plan = EjectionPlan(consecutiveFailures: 5, time: .seconds(30), timeMax: .seconds(300))

    /// Ejects after each pause, counted from the endpoint's return, and says for how many seconds each time.
    private func times(pauses: [Double]) -> [Double] {
        var endpoint = EndpointState()
        var now = Instant(nanos: 1_000_000_000_000)
        return pauses.map { pause in
            now = max(now, endpoint.ejectedUntil) + Interval(nanos: UInt64(pause * 1e9))
            endpoint.eject(plan, at: now)
            return Double((endpoint.ejectedUntil - now).millis) / 1_000
        }
    }

    @Test("An endpoint that fails as soon as it is back is left alone twice as long, up to the limit")
    func doubles() {
        #expect(times(pauses: [0, 1, 1, 1, 1, 1]) == [30, 60, 120, 240, 300, 300])
    }

    @Test("Every ejection time spent back in service forgives one doubling; long service forgives all")
    func forgives() {
        #expect(times(pauses: [0, 1, 1, 31, 61, 1]) == [30, 60, 120, 120, 60, 120])
        #expect(times(pauses: [0, 1, 1, 1, 3_600, 1]) == [30, 60, 120, 240, 30, 60])
    }

    @Test("Ten thousand ejections in a row do not overflow, and are forgiven like sixteen")
    func bounded() {
        let pauses = Array(repeating: 0.0, count: 10_000) + [30 * 17.0]
        #expect(times(pauses: pauses).suffix(2) == [300, 30])
    }

    @Test("A return within the ejection (the last endpoint is used all the same) forgives nothing")
    func inside() {
        var endpoint = EndpointState()
        let now = Instant(nanos: 1_000_000_000_000)
        endpoint.eject(plan, at: now)
        endpoint.eject(plan, at: now + .seconds(10))
        #expect(endpoint.ejectedUntil == now + .seconds(70))
    }
}
