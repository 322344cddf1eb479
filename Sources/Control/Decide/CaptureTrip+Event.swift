// Which events of the rollout machine are trips, around which exchanges are kept.
// Place: called by `ControlLoop` for each event; the trips go to the captures.
// Invariant: an id of a trip is a cut's own, or says the kind and the time.

import Payload
import Rollout

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
