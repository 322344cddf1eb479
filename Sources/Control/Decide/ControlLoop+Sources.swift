// An alias that has moved: the config in force, resolved with what the registry says now, is taken over on
// the path of every reload, and journaled as one. The file is not read: edits that nobody has asked to load
// stay where they are.
// Invariant: moves and reloads are taken over one at a time, and each with the newest answers before it.

import Logging
import Platform

extension ControlLoop {
    /// Takes a move; of several for one model only the newest counts.
    package func take(_ move: SourceMove) {
        moves.removeAll { $0.model == move.model }
        moves.append(move)
    }

    /// The moves that waited for the plan under way, for bars, or for reloads before them.
    func takeMoves() {
        while !moves.isEmpty, deferred.isEmpty, canReconfigure, !isPlanWanted {
            let move = moves.removeFirst()
            sources[move.model] = move.answer
            let next = config.resolved(by: sources)
            if next == config {
                note([
                    JournalEvent(
                        at: wallMicros, .source, model: move.model, actor: move.actor, reason: move.sentence)
                ])
            } else {
                reconfigure(
                    Reconfiguration(config: next, actor: move.actor, reason: move.sentence, reply: nil))
            }
        }
    }
}
