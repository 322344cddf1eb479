// From samples to values: what is evidence and what is not, what is observed and what is unknown, that
// batches say how far they reach, and that a controller without room costs values and nothing else.

import ConfigSamples
import Metrics
import Payload
import Proxy
import Rollout
import Synchronization
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

private let watched = """
    listeners: [{ listen: 127.0.0.1:8080 }]
    models:
      - name: m
        versions:
          v1: { endpoints: [127.0.0.1:9001] }
          v2: { endpoints: [127.0.0.1:9002] }
        stable: v1
        candidate: v2
        values:
          score: { response: "$.outputs[0].data[*]" }
          cost: { response_header: x-cost }
          age: { request: $.age }
          budget: { request_header: x-budget }
      - name: plain
        match: { path: /plain }
        versions: { v1: { endpoints: [127.0.0.1:9003] } }
    """

/// The batches that a controller has got, and whether it takes any.
private final class Inbox: Sendable {
    let batches = Mutex<[ValueBatch]>([])
    let isOpen = Atomic<Bool>(true)

    func take(_ batch: ValueBatch) -> Bool {
        guard isOpen.load(ordering: .relaxed) else { return false }
        batches.withLock { $0.append(batch) }
        return true
    }

    var all: [ValueBatch] { batches.withLock { $0 } }
    /// The arms of all batches, by "version value".
    var arms: [String: ValueArm] {
        var sum: [String: ValueArm] = [:]
        for group in all.flatMap(\.groups) {
            for (name, arm) in group.arms {
                sum["\(group.version) \(name)", default: ValueArm()].missing += arm.missing
                sum["\(group.version) \(name)", default: ValueArm()].values += arm.values
            }
        }
        return sum
    }
}

/// One exchange as the tap would lend it.
private struct Sampled {
    var record = TapRecord()
    var requestHead = "POST /v2/models/m/infer HTTP/1.1\r\nhost: m\r\nx-budget: 2.5e1\r\n\r\n"
    var requestBody = #"{"age": 40}"#
    var responseHead = "HTTP/1.1 200 OK\r\nx-cost: 0.002\r\nX-Cost: 9\r\n\r\n"
    var responseBody = #"{"outputs":[{"data":[0.75,0.5]}]}"#

    init(_ version: UInt32, _ change: (inout Sampled) -> Void = { _ in }) {
        record.model = 0
        record.assigned = version
        record.answered = version
        record.responded = version
        record.status = 200
        record.responseStatus = 200
        record.isRandomised = true
        record.traits = .drawn
        record.startTick = Tick(number: 100)
        change(&self)
    }

    func lend(to extractor: inout ValueExtractor) {
        let parts = [requestHead, requestBody, responseHead, responseBody].map { Array($0.utf8) }
        parts[0].withUnsafeBytes { requestHead in
            parts[1].withUnsafeBytes { requestBody in
                parts[2].withUnsafeBytes { responseHead in
                    parts[3].withUnsafeBytes { responseBody in
                        extractor.read(
                            TapSample(
                                record: record, requestHead: requestHead, requestBody: requestBody,
                                responseHead: responseHead, responseBody: responseBody))
                    }
                }
            }
        }
    }
}

private func extractor(_ counters: SampleCounters, _ inbox: Inbox) throws -> ValueExtractor {
    let config = try ConfigSample.file(watched).config()
    var slots = SlotTable()
    let plan = try PlanBuilder.plan(from: config, slots: &slots, epoch: 1)
    var extractor = ValueExtractor(counters) { inbox.take($0) }
    extractor.adopt(config, plan)
    return extractor
}

/// What one sample gives, and what is counted of it.
private func read(_ sample: Sampled) throws -> (arms: [String: ValueArm], counts: SampleCounts) {
    let (inbox, counters) = (Inbox(), SampleCounters())
    var extractor = try extractor(counters, inbox)
    sample.lend(to: &extractor)
    extractor.drained(at: Tick(number: 101))
    return (inbox.arms, try #require(counters.all["m"]))
}

@Suite struct ValueExtractorTests {
    @Test("A sample gives each value to the version assigned and the tick of its start")
    func values() throws {
        let (inbox, counters) = (Inbox(), SampleCounters())
        var extractor = try extractor(counters, inbox)
        let isNeeded = extractor.isNeeded
        #expect(isNeeded)
        Sampled(0).lend(to: &extractor)
        Sampled(1).lend(to: &extractor)
        Sampled(1) {
            $0.record.startTick = Tick(number: 99)
            $0.responseBody = #"{"outputs":[{"data":[0.25]}]}"#
        }.lend(to: &extractor)
        extractor.drained(at: Tick(number: 101))
        let batch = try #require(inbox.all.first)
        #expect(inbox.all.count == 1)
        #expect(batch.drainedAt == Tick(number: 101))
        let groups = batch.groups.sorted { ($0.version, $0.tick) < ($1.version, $1.tick) }
        #expect(groups.map(\.version) == ["v1", "v2", "v2"])
        #expect(groups.map(\.tick.number) == [100, 99, 100])
        #expect(groups.map { $0.arms["score"]?.values } == [[0.75], [0.25], [0.75]])
        #expect(groups[0].model == "m")
        #expect(groups[0].arms["cost"]?.values == [0.002])
        #expect(groups[0].arms["age"]?.values == [40])
        #expect(groups[0].arms["budget"]?.values == [25])
        #expect(counters.all["m"]?.samples == [.read: 3])
        #expect(counters.all["m"]?.values["score"] == .init(numbers: 3))
    }

    @Test(
        "What is no number is missing; true and false are 1 and 0",
        arguments: [
            (#"{"outputs":[{"data":[null]}]}"#, nil), (#"{"outputs":[{"data":["0.5"]}]}"#, nil),
            (#"{"outputs":[{"data":[]}]}"#, nil), (#"{"outputs":[]}"#, nil), ("{}", nil), ("", nil),
            (#"{"outputs":[{"data":[[1]]}]}"#, nil), (#"{"outputs":[{"data":[1e999]}]}"#, nil),
            ("<html>", nil), (#"{"outputs":[{"data":[0.5]}]"#, nil), (#"{"outputs":[{"data":[true]}]}"#, 1),
            (#"{"outputs":[{"data":[false, 7]}]}"#, 0), (#"{"outputs":[{"data":[-0.5e1]}]}"#, -5),
        ] as [(String, Double?)])
    func missing(_ body: String, _ value: Double?) throws {
        let (arms, counts) = try read(Sampled(1) { $0.responseBody = body })
        let expected = value.map { ValueArm(values: [$0]) } ?? ValueArm(missing: 1)
        #expect(arms["v2 score"] == expected)
        #expect(counts.values["score"]?.unknown == 0)
        let isJSON = (try? JSON(parsing: body)) != nil || body.contains("1e999")
        #expect(counts.samples == [isJSON ? .read : .malformed: 1])
    }

    @Test(
        "What could not be looked at is unknown, is no evidence, and is counted by its reason",
        arguments: [
            (.responseBodyCut, "", #"{"outputs":[{"data":["#, SampleResult.truncated),
            (.responseHeadCut, "", #"{"outputs":[{"data":[1]}]}"#, .truncated),
            ([], "content-encoding: gzip\r\n", "\u{1F}", .encoded),
            ([], "Content-Encoding: br\r\n", #"{"outputs":[{"data":[1]}]}"#, .encoded),
        ] as [(TapTraits, String, String, SampleResult)])
    func unknown(_ traits: TapTraits, _ field: String, _ body: String, _ result: SampleResult) throws {
        let (arms, counts) = try read(
            Sampled(1) {
                $0.record.traits.formUnion(traits)
                $0.responseHead = "HTTP/1.1 200 OK\r\n\(field)\r\n"
                $0.responseBody = body
            })
        #expect(arms["v2 score"] == nil)
        #expect(counts.values["score"] == .init(unknown: 1))
        #expect(counts.samples == [result: 1])
        #expect(arms["v2 age"]?.values == [40])
    }

    @Test("A value before the cut of its body is known, and identity is no coding")
    func knownBeforeCut() throws {
        let (arms, counts) = try read(
            Sampled(1) {
                $0.record.traits.insert(.responseBodyCut)
                $0.responseHead = "HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\n\r\n"
                $0.responseBody = #"{"outputs":[{"data":[0.125,"#
            })
        #expect(arms["v2 score"]?.values == [0.125])
        #expect(counts.samples == [.read: 1])
    }

    @Test(
        "A response that is not a success of the version assigned says nothing about its values",
        arguments: [0, 1, 2, 3, 4])
    func notAnAnswer(_ which: Int) throws {
        let (arms, counts) = try read(
            Sampled(1) {
                switch which {
                case 0: ($0.record.outcome, $0.record.responseStatus) = (.upstreamError, 503)
                case 1: $0.record.responseStatus = 404
                case 2: $0.record.responded = 0
                case 3: $0.requestHead = "HEAD /m HTTP/1.1\r\nhost: m\r\nx-budget: 25\r\n\r\n"
                default: $0.record.outcome = .cutMidStream
                }
            })
        #expect(arms["v2 score"] == nil && arms["v2 cost"] == nil)
        #expect(counts.values["score"] == .init())
        // Its request is as good as any.
        #expect(arms["v2 age"]?.values == [40])
        #expect(arms["v2 budget"]?.values == [25])
    }

    @Test(
        "A header that is no decimal number is missing",
        arguments: ["", "free", "nan", "inf", "0x10", "1e999", "1,5", "1 2"])
    func headers(_ text: String) throws {
        let (arms, _) = try read(
            Sampled(1) { $0.responseHead = "HTTP/1.1 200 OK\r\nx-cost: \(text)\r\n\r\n" })
        #expect(arms["v2 cost"] == ValueArm(missing: 1))
    }

    @Test("Only what chance drew and chance assigned is evidence")
    func fairOnly() throws {
        let (inbox, counters) = (Inbox(), SampleCounters())
        var extractor = try extractor(counters, inbox)
        Sampled(1) { $0.record.traits = [.failed, .recent] }.lend(to: &extractor)
        Sampled(1) { $0.record.isRandomised = false }.lend(to: &extractor)
        Sampled(0) { $0.record.model = 1 }.lend(to: &extractor)
        Sampled(40).lend(to: &extractor)
        Sampled(0) { $0.record.model = 2_000 }.lend(to: &extractor)
        extractor.drained(at: Tick(number: 101))
        #expect(inbox.all == [ValueBatch(drainedAt: Tick(number: 101), groups: [])])
        #expect(counters.all["m"]?.samples == [:])
        #expect(counters.all["plain"] == nil)
    }

    @Test("A batch is posted once per tick, also an empty one, so that ticks without values get complete")
    func pace() throws {
        let (inbox, counters) = (Inbox(), SampleCounters())
        var extractor = try extractor(counters, inbox)
        for tick: UInt64 in [101, 101, 101, 102, 101, 103] { extractor.drained(at: Tick(number: tick)) }
        #expect(inbox.all.map(\.drainedAt.number) == [101, 102, 103])
    }

    @Test("A controller without room gets everything later, up to the bound; beyond it values are counted")
    func noRoom() throws {
        let (inbox, counters) = (Inbox(), SampleCounters())
        var extractor = try extractor(counters, inbox)
        inbox.isOpen.store(false, ordering: .relaxed)
        let samples = ValueExtractor.pendingMax / 4
        for i in 0..<samples + 3 {
            Sampled(1).lend(to: &extractor)
            if i == 10 { extractor.drained(at: Tick(number: 101)) }
        }
        inbox.isOpen.store(true, ordering: .relaxed)
        extractor.drained(at: Tick(number: 102))
        #expect(inbox.all.map(\.drainedAt.number) == [102])
        #expect(inbox.arms["v2 score"]?.values.count == samples)
        #expect(counters.all["m"]?.dropped == 12)
        Sampled(1).lend(to: &extractor)
        extractor.drained(at: Tick(number: 103))
        #expect(inbox.arms["v2 score"]?.values.count == samples + 1)
    }

    @Test("A reload changes what is read, and what was found before is not lost")
    func reload() throws {
        let (inbox, counters) = (Inbox(), SampleCounters())
        var extractor = try extractor(counters, inbox)
        Sampled(1).lend(to: &extractor)
        let text = watched.replacing("$.outputs[0].data[*]", with: "$.outputs[0].data[1]")
        let config = try ConfigSample.file(text).config()
        var slots = SlotTable()
        extractor.adopt(config, try PlanBuilder.plan(from: config, slots: &slots, epoch: 2))
        Sampled(1).lend(to: &extractor)
        extractor.drained(at: Tick(number: 101))
        #expect(inbox.arms["v2 score"]?.values == [0.75, 0.5])
        let none = try ConfigSample.model("alpha: 1%").config()
        extractor.adopt(none, try PlanBuilder.plan(from: none, slots: &slots, epoch: 3))
        let isNeeded = extractor.isNeeded
        #expect(!isNeeded)
    }

    @Test("Hostile samples never trap")
    func hostile() throws {
        let (inbox, counters) = (Inbox(), SampleCounters())
        var extractor = try extractor(counters, inbox)
        let heads = ["", "\r\n\r\n", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nx-cost\r\n\r\n", "\0"]
        for head in heads {
            Sampled(1) {
                $0.requestHead = head
                $0.responseHead = head
                $0.responseBody = String(repeating: "[", count: 10_000)
            }.lend(to: &extractor)
        }
        extractor.drained(at: Tick(number: 101))
        #expect(counters.all["m"]?.samples == [.truncated: UInt64(heads.count)])
    }

    @Test("The metrics page has every series of a model with values, and none of others")
    func page() throws {
        let (inbox, counters) = (Inbox(), SampleCounters())
        var extractor = try extractor(counters, inbox)
        Sampled(1) { $0.responseBody = "{}" }.lend(to: &extractor)
        extractor.drained(at: Tick(number: 101))
        var page = ObserveMetricsPageTests.sample
        #expect(!page.text(.openMetrics).contains("weir_signal"))
        page.samples = counters.all.map { .init(model: $0.key, counts: $0.value) }
        let text = page.text(.openMetrics)
        for line in [
            #"weir_value_samples_total{model="m",result="read"} 1"#,
            #"weir_value_samples_total{model="m",result="encoded"} 0"#,
            #"weir_values_total{model="m",value="score",result="missing"} 1"#,
            #"weir_values_total{model="m",value="score",result="unknown"} 0"#,
            #"weir_values_total{model="m",value="age",result="number"} 1"#,
            #"weir_values_dropped_total{model="m",reason="busy"} 0"#,
            #"weir_values_dropped_total{model="m",reason="late"} 0"#,
        ] { #expect(text.contains(line + "\n"), "\(line)") }
    }
}
