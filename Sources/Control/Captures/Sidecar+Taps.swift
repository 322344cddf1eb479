// The reader of the taps in its place: fed by the data plane, told of trips by the control loop. Samples come
// at the pace of the cores, trips at the pace of decisions, and both end on the reader's one thread.
// Invariant: it starts before the cores and ends after them, so that every slot has a reader.

import Payload
import Platform
import Proxy
import Rollout

extension Sidecar {
    /// Starts the reader with everything that reads samples.
    func startTaps() throws(SystemFailure) {
        let folder = FolderDisk.folder(in: directory.path)
        let (plane, log, signals, controller) = (plane, log, signals, controller)
        try taps.start(
            config, plan, source: { plane.drainTaps($0) },
            {
                let disk = CaptureFolder(FolderDisk(folder: folder)) { log.warning("\($0)") }
                return CaptureStore(disk, seed: Entropy.word())
            },
            values: { SignalExtractor(signals) { controller.post(.values($0)) } })
    }
}

extension CaptureTrip {
    /// The trip that an event of the rollout machine is; nil: it is none.
    init?(_ event: RolloutEvent, model: String, at wallMicros: UInt64) {
        let time = Timestamp.text(wallMicros: wallMicros)
        switch event {
        case .cut(let record): self.init(model: model, kind: "cut", id: record.id)
        case .alert, .alertInstead: self.init(model: model, kind: "alert", id: "alert-\(time)")
        case .held: self.init(model: model, kind: "hold", id: "hold-\(time)")
        case .configured, .verb, .promoted, .weights, .recovery, .overruled, .stage, .baking,
            .experimentEnded, .wouldHave, .controlWithdrawn:
            return nil
        }
    }
}
