// From sampled exchanges to the values that guardrails compare. Place: the tap reader's thread lends every
// sample to `read` and says with `drained` how far it has come; once per tick the values found go to the
// controller, where `ValueRegistry` makes complete ticks of them. Nothing here runs on a core.
//
// What is evidence: exchanges that the core's own random word drew (copies made because an exchange failed,
// or to keep the last ones at hand, are no fair picture) and whose version a weight or sticky key gave.
// Bound: `pendingMax` values wait where the controller takes none; what comes then is dropped and counted.

import Config
import Metrics
import Proxy
import Rollout
import Wire

/// Reads the values of all models out of samples. Owner: the tap reader's thread.
package struct ValueExtractor: ~Copyable {
    /// Values that may wait for the controller.
    static let pendingMax = 65_536

    /// By model slot; models without values have no entry.
    private var readers: [Int: SampleReader] = [:]
    private var parser = HeadParser()
    private var pending: [Key: ValueGroup] = [:]
    private var pendingCount = 0
    private var counts: [String: SampleCounts] = [:]
    private var lastPosted = Tick(number: 0)
    private let counters: SampleCounters
    /// False: the controller has no room, and the batch is offered again with the next one.
    private let post: @Sendable (ValueBatch) -> Bool

    private struct Key: Hashable {
        var version: UInt32
        var tick: UInt64
        var model: UInt32
    }

    package init(_ counters: SampleCounters, post: @escaping @Sendable (ValueBatch) -> Bool) {
        self.counters = counters
        self.post = post
    }

    /// Whether any model has values.
    var isNeeded: Bool { !readers.isEmpty }

    /// Takes over the values of a config and the slots of its plan.
    mutating func adopt(_ config: Config, _ plan: Plan) {
        readers = [:]
        for model in plan.models {
            guard let written = config.model(model.name), !written.values.all.isEmpty else { continue }
            readers[model.slot] = SampleReader(written, model)
            counters.change(model.name) { counted in
                for value in written.values.all { counted.values[value.name, default: .init()].numbers += 0 }
            }
        }
    }

    /// Reads one sample.
    mutating func read(_ sample: borrowing TapSample) {
        let record = sample.record
        guard record.traits.contains(.drawn), record.isRandomised,
            var reader = readers.removeValue(forKey: Int(record.model))
        else { return }
        if let version = reader.versions[Int(record.assigned)], let result = reader.read(sample, &parser) {
            count(result, reader)
            let key = Key(version: record.assigned, tick: record.startTick.number, model: record.model)
            add(reader, version, key)
        }
        readers[Int(record.model)] = reader
    }

    private mutating func count(_ result: SampleResult, _ reader: SampleReader) {
        var counted = counts[reader.model] ?? SampleCounts()
        counted.samples[result, default: 0] += 1
        for (value, finding) in zip(reader.values, reader.findings) {
            switch finding {
            case .number: counted.values[value.name, default: .init()].numbers += 1
            case .missing: counted.values[value.name, default: .init()].missing += 1
            case .unknown: counted.values[value.name, default: .init()].unknown += 1
            case .none: break
            }
        }
        counts[reader.model] = counted
    }

    private mutating func add(_ reader: SampleReader, _ version: String, _ key: Key) {
        let observed = reader.findings.count { $0 != .none && $0 != .unknown }
        guard observed > 0 else { return }
        guard pendingCount + observed <= Self.pendingMax else {
            counts[reader.model, default: SampleCounts()].dropped += UInt64(observed)
            return
        }
        pendingCount += observed
        let empty = ValueGroup(
            model: reader.model, version: version, tick: Tick(number: key.tick), arms: [:])
        for (value, finding) in zip(reader.values, reader.findings) {
            switch finding {
            case .number(let number):
                pending[key, default: empty].arms[value.name, default: ValueArm()].values.append(number)
            case .missing: pending[key, default: empty].arms[value.name, default: ValueArm()].missing += 1
            case .unknown, .none: break
            }
        }
    }

    /// The samples that were there when `tick` was the current one have all been lent.
    mutating func drained(at tick: Tick) {
        guard tick > lastPosted else { return }
        lastPosted = tick
        for (model, counted) in counts { counters.change(model) { $0.add(counted) } }
        counts = [:]
        guard isNeeded || !pending.isEmpty else { return }
        if post(ValueBatch(drainedAt: tick, groups: Array(pending.values))) {
            pending = [:]
            pendingCount = 0
        }
    }
}

extension SampleCounts {
    fileprivate mutating func add(_ other: SampleCounts) {
        for (result, count) in other.samples { samples[result, default: 0] += count }
        for (name, found) in other.values {
            values[name, default: Findings()].numbers += found.numbers
            values[name, default: Findings()].missing += found.missing
            values[name, default: Findings()].unknown += found.unknown
        }
        dropped += other.dropped
    }
}
