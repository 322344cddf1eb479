// What a registry's alias says now, handed to the control loop by whoever asked the registry.
// Place: taken over by `ControlLoop+Sources.swift`.
// Invariant: the answer is durable before the move is handed over, unless it takes a candidate away.

import Config

/// An alias that points somewhere else than before.
package struct SourceMove: Sendable {
    /// Weir's model.
    var model: String
    var answer: SourceAnswer
    /// Stands as the actor in the journal.
    var actor: String
    /// What the alias says, and what follows from it.
    var sentence: String

    package init(model: String, answer: SourceAnswer, actor: String, sentence: String) {
        self.model = model
        self.answer = answer
        self.actor = actor
        self.sentence = sentence
    }
}
