// The end of a control loop, and what its owner looks at between turns.
// Place: called by the controller's thread.
// Invariant: every caller who still waits is answered by `end`.

import Platform

extension ControlLoop {
    /// Whether cores or callers are being waited for.
    package var isPlanUnderWay: Bool { plane.obeyedEpoch < plan.epoch || !waiting.isEmpty || isPlanWanted }

    /// The last turn: evidence is saved, callers are told.
    package func end(now: Instant, wallMicros: UInt64) {
        turn(now: now, wallMicros: wallMicros)
        lastSaved = Instant(nanos: 0)
        saveEvidence()
        for verb in waiting {
            for reply in verb.replies { reply(verb.response) }
        }
        waiting = []
    }
}
