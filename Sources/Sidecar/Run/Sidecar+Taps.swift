// The reader of the taps in its place: fed by the data plane, told of trips by the control loop. Samples come
// at the pace of the cores, trips at the pace of decisions, and both end on the reader's one thread.
// Invariant: it starts before the cores and ends after them, so that every slot has a reader.

import Control
import Payload
import Platform
import Proxy

extension Sidecar {
    /// Starts the reader with everything that reads samples.
    func startTaps() throws(SystemFailure) {
        let folder = FolderDisk.folder(in: directory.path)
        let (plane, log, sampleCounters, controller) = (plane, log, sampleCounters, controller)
        try taps.start(
            config, plan, source: { plane.drainTaps($0) },
            {
                let disk = CaptureFolder(FolderDisk(folder: folder)) { log.warning("\($0)") }
                return CaptureStore(disk, seed: Entropy.word())
            },
            values: { ValueExtractor(sampleCounters) { controller.post(.values($0)) } })
    }
}
