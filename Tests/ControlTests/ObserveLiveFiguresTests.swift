// The laws of the live figures: they speak of the last seconds only, per version.
// The first half of each run is to be forgotten by its end.
// Ticks are arguments, so no clock is waited for.

import Metrics
import Testing

@testable import Control
@testable import Sidecar

@Suite struct ObserveLiveFiguresTests {
    /// A steady version: `perTick` requests each tick, `failuresPerTick` of them failed.
    private static func grow(
        _ snapshot: inout VersionMeterSnapshot, _ perTick: UInt64, _ failuresPerTick: UInt64, nanos: UInt64
    ) {
        snapshot.counts.started += perTick
        snapshot.counts[.success] += perTick - failuresPerTick
        snapshot.counts[.reset] += failuresPerTick
        for _ in 0..<perTick { snapshot[.total].record(nanos: nanos) }
    }

    @Test("Rate, quantiles and error share are those of the last seconds, each version by itself")
    func figures() throws {
        var badWindow = Window(ticks: 20)
        var goodWindow = Window(ticks: 20)
        var bad = VersionMeterSnapshot()
        var good = VersionMeterSnapshot()
        for number: UInt64 in 1_000...1_100 {
            badWindow.observe(WindowReading(bad, latency: .total), at: Tick(number: number))
            goodWindow.observe(WindowReading(good, latency: .total), at: Tick(number: number))
            // The first half of the time is to be forgotten.
            Self.grow(&bad, 10, number < 1_050 ? 0 : 5, nanos: number < 1_050 ? 1_000_000 : 8_000_000)
            Self.grow(&good, 2, 0, nanos: 3_000_000)
        }
        let first = try Self.figures(of: badWindow)
        #expect(abs(first.requestsPerSecond - 100) < 11)
        #expect(first.errorShare == 0.5)
        #expect(first.p50Micros.map { (8_000...8_080).contains($0) } == true)
        let second = try Self.figures(of: goodWindow)
        #expect(abs(second.requestsPerSecond - 20) < 3)
        #expect(second.errorShare == 0)
        #expect(second.p99Micros.map { (3_000...3_030).contains($0) } == true)
    }

    @Test(
        "A version whose clients give up has its rate of requests, and the share that gave up",
        arguments: [0, 1, 10])
    func cancelled(perTick: UInt64) throws {
        var window = Window(ticks: 20)
        var snapshot = VersionMeterSnapshot()
        for number: UInt64 in 1_000...1_100 {
            window.observe(WindowReading(snapshot, latency: .total), at: Tick(number: number))
            snapshot.counts.started += 10
            snapshot.counts[.success] += 10 - perTick
            snapshot.counts[.clientCancel] += perTick
        }
        let figures = try Self.figures(of: window)
        #expect(abs(figures.requestsPerSecond - 100) < 11)
        #expect(figures.cancelledShare == Double(perTick) / 10)
        #expect(figures.errorShare == (perTick == 10 ? nil : 0))
    }

    @Test("A version without requests has no quantile and no error share, and one never seen no content")
    func nothing() throws {
        var window = Window(ticks: 10)
        #expect(window.content == nil)
        window.observe(WindowReading(VersionMeterSnapshot(), latency: .total), at: Tick(number: 5))
        let figures = try Self.figures(of: window)
        #expect(figures.requestsPerSecond == 0)
        #expect(figures.p99Micros == nil && figures.errorShare == nil && figures.cancelledShare == nil)
    }

    private static func figures(of window: Window) throws -> LiveFigures {
        LiveFigures(try #require(window.content), ticks: window.observedTicks)
    }
}
