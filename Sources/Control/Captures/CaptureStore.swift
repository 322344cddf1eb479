// What is kept of the copied exchanges: lines in memory, the last ones of every version, and lines in files:
// a fair sample as it comes, and around a trip everything that memory has of the model's versions, candidate
// and stable alike, under the trip's id.
//
// Bounds: per version `around_a_trip` lines and `recentBytesMax` bytes in memory; files by `CaptureFolder`.
// Invariant: a sample becomes a line, masked, before it is kept anywhere.

import Config
import Platform
import Proxy

/// Something for which the last exchanges are kept.
package struct CaptureTrip: Sendable, Equatable {
    var model: String
    /// `cut`, `alert` or `hold`.
    var kind: String
    /// The cut's id, or one made of kind and time.
    var id: String
}

/// The captures of all models. Owner: the thread of the taps' reader.
package struct CaptureStore {
    /// Bytes of the last exchanges of one version.
    static let recentBytesMax = 4 << 20
    /// Lines are handed to the disk when so many bytes wait, and at the end of every turn.
    private static let batchBytesMax = 1 << 20

    private struct Model {
        var names: CaptureNames
        var config: CapturesConfig
        var line: CaptureLine
        /// What the cores draw, which may be more than what is kept.
        var drawnPPM: UInt32
        var recent: [UInt32: Recent] = [:]
        var batch: [UInt8] = []
        var batchLines = 0
    }

    /// The last lines of one version.
    private struct Recent {
        var lines: [[UInt8]] = []
        var bytes = 0

        mutating func append(_ line: [UInt8], max: Int) {
            lines.append(line)
            bytes += line.count
            while lines.count > max || bytes > CaptureStore.recentBytesMax, !lines.isEmpty {
                bytes -= lines.removeFirst().count
            }
        }
    }

    private let folder: CaptureFolder
    /// By model slot.
    private var models: [UInt32: Model] = [:]
    private var random: Random64
    private var agedAt: Instant?
    private var sequence: UInt64 = 0

    package init(_ folder: CaptureFolder, seed: UInt64) {
        self.folder = folder
        random = Random64(seed: seed)
    }

    var written: UInt64 { folder.written }
    var lost: UInt64 { folder.lost }

    mutating func adopt(_ config: Config, _ plan: Plan) {
        var next: [UInt32: Model] = [:]
        for (model, planned) in zip(config.models, plan.models) {
            guard let captures = model.captures else { continue }
            let slot = UInt32(planned.slot)
            let versions = Dictionary(
                planned.versions.indices.map { (UInt32(planned.versions[$0].slot), planned.label(of: $0)) },
                uniquingKeysWith: { first, _ in first })
            var kept = Model(
                names: CaptureNames(model: model.name, versions: versions), config: captures,
                line: CaptureLine(captures), drawnPPM: planned.tap?.ppm ?? 0)
            // Lines that were masked by other rules do not stay beside those of the new ones.
            if let old = models[slot], old.names.model == model.name, old.config == captures {
                kept.recent = old.recent.filter { versions[$0.key] == old.names.versions[$0.key] }
                (kept.batch, kept.batchLines) = (old.batch, old.batchLines)
            }
            next[slot] = kept
        }
        models = next
    }

    mutating func take(_ sample: borrowing TapSample) {
        let record = sample.record
        guard var model = models[record.model] else { return }
        let isKept = record.traits.contains(.drawn) && isSampled(model)
        guard isKept || model.config.aroundTrip > 0 else { return }
        models[record.model] = nil
        sequence += 1
        let line = model.line.line(sample, id: "\(record.wallMicros)-\(sequence)", model.names)
        if isKept { Self.write(line, "sample", to: &model) }
        if model.config.aroundTrip > 0 {
            model.recent[record.assigned, default: Recent()].append(line, max: model.config.aroundTrip)
        }
        if model.batch.count >= Self.batchBytesMax { flush(&model) }
        models[record.model] = model
    }

    /// Where values want more drawn than captures do, some of what was drawn is kept.
    private mutating func isSampled(_ model: Model) -> Bool {
        let share = model.config.samplePPM
        return share >= model.drawnPPM || random.below(UInt64(model.drawnPPM)) < UInt64(share)
    }

    private static func write(_ line: [UInt8], _ kept: String, to model: inout Model) {
        model.batch += "{\"kept\":\"\(kept)\",".utf8
        model.batch += line
        model.batch.append(0x0A)
        model.batchLines += 1
    }

    mutating func trip(_ trip: CaptureTrip) {
        guard let slot = models.first(where: { $0.value.names.model == trip.model })?.key,
            var model = models[slot]
        else { return }
        models[slot] = nil
        for version in model.recent.keys.sorted() {
            for line in model.recent[version]?.lines ?? [] {
                Self.write(line, trip.kind, trip.id, to: &model)
                if model.batch.count >= Self.batchBytesMax { flush(&model) }
            }
        }
        flush(&model)
        models[slot] = model
    }

    private static func write(_ line: [UInt8], _ kind: String, _ id: String, to model: inout Model) {
        model.batch += "{\"kept\":\"\(kind)\",\"cut\":".utf8
        CaptureLine.quote(id, to: &model.batch)
        model.batch.append(0x2C)
        model.batch += line
        model.batch.append(0x0A)
        model.batchLines += 1
    }

    private func flush(_ model: inout Model) {
        guard model.batchLines > 0 else { return }
        folder.append(
            model.batch, count: model.batchLines, model: model.names.model, model.config,
            wallMicros: Clock.wallMicros())
        model.batch.removeAll(keepingCapacity: model.batch.count < 4 * Self.batchBytesMax)
        model.batchLines = 0
    }

    /// The end of a turn: what waits is written, and now and then what is too old goes.
    mutating func turn(now: Instant, wallMicros: UInt64) {
        for slot in models.keys where (models[slot]?.batchLines ?? 0) > 0 {
            guard var model = models[slot] else { continue }
            models[slot] = nil
            flush(&model)
            models[slot] = model
        }
        if let agedAt, now - agedAt < .seconds(60) { return }
        agedAt = now
        let configs = Dictionary(
            models.values.map { ($0.names.model, $0.config) }, uniquingKeysWith: { first, _ in first })
        folder.age(configs, wallMicros: wallMicros)
    }
}
