// The laws of a rolling window: it holds what came in lately, never anything older than its length.
// A random run is compared, tick by tick, with a list of all events.
// Lengths that slices do not divide, and windows of a single tick, are among the arguments.

import Metrics
import Testing

@Suite struct WindowTests {
    /// Cumulative counts with one request of a given latency more.
    private static func grow(_ reading: inout WindowReading, nanos: UInt64, failed: Bool) {
        reading.started += 1
        reading.requests += 1
        if failed { reading.failures += 1 }
        reading.latency.record(nanos: nanos)
    }

    private static let nothing = WindowReading(
        started: 0, requests: 0, failures: 0, latency: HistogramSnapshot())

    @Test(
        "The window holds all that ended within its whole slices and nothing older than its length",
        arguments: [(200, 20), (100, 10), (10, 10), (7, 3), (1, 1), (5, 60)])
    func model(ticks: Int, slices: Int) throws {
        var random = SeededRandom()
        var window = Window(ticks: ticks, slices: slices)
        var cumulative = Self.nothing
        var events: [(tick: UInt64, nanos: UInt64, failed: Bool)] = []
        var now: UInt64 = 1_000
        window.observe(cumulative, at: Tick(number: now))
        for _ in 0..<500 {
            now += 1
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let event = (now, random.logUniform(1e3...1e9), Int.random(in: 0..<5, using: &random) == 0)
                events.append(event)
                Self.grow(&cumulative, nanos: event.1, failed: event.2)
            }
            window.observe(cumulative, at: Tick(number: now))
            let content = try #require(window.content)
            // Slices are aligned, so the beginning lies within one slice after now - ticks.
            let slice = UInt64(max(1, ticks / slices))
            let oldest = now - min(now, UInt64(ticks))
            let surely = events.filter { $0.tick > oldest + slice }
            let perhaps = events.filter { $0.tick > oldest }
            #expect(content.requests >= surely.count && content.requests <= perhaps.count)
            #expect(content.failures >= surely.filter(\.failed).count)
            #expect(content.failures <= perhaps.filter(\.failed).count)
            #expect(content.latency.count == content.requests)
            #expect(content.started == content.requests)
            #expect(window.observedTicks <= UInt64(ticks))
        }
        #expect(window.observedTicks + UInt64(max(1, ticks / slices)) >= UInt64(ticks))
    }

    @Test("What was counted before the first reading is not in the window")
    func beginning() {
        var window = Window(ticks: 10)
        #expect(window.content == nil)
        var cumulative = Self.nothing
        Self.grow(&cumulative, nanos: 5_000, failed: true)
        window.observe(cumulative, at: Tick(number: 50))
        #expect(window.content?.requests == 0)
        #expect(window.observedTicks == 0)
        Self.grow(&cumulative, nanos: 7_000, failed: false)
        window.observe(cumulative, at: Tick(number: 51))
        #expect(window.content?.requests == 1)
        #expect(window.content?.failures == 0)
        #expect(window.content?.latency.quantile(0.5) == 8)
    }

    @Test("After a silence longer than the window nothing old is left")
    func silence() {
        var window = Window(ticks: 20, slices: 4)
        var cumulative = Self.nothing
        for tick: UInt64 in 100..<120 {
            Self.grow(&cumulative, nanos: 5_000, failed: true)
            window.observe(cumulative, at: Tick(number: tick))
        }
        window.observe(cumulative, at: Tick(number: 500))
        #expect(window.content?.requests == 0)
        #expect(window.content?.latency.count == 0)
    }
}
