// From a decision to those who are told of it: what the journal's line says for them, and when they hear it.
// Place: called by `ControlLoop` for each event of the rollout machine, and when the ledger reports.
// Invariant: a decision that gives traffic, which the disk may still undo, is told when it is durable; one
// that takes traffic away is told at once, as it is obeyed at once.

import Config
import Payload
import Rollout

extension ControlLoop {
    /// The line with what sinks ask for, and with the names of the actions that it is owed to.
    func addressed(_ event: JournalEvent, _ i: Int, _ before: RolloutState) -> JournalEvent {
        guard Notice.Kind(event) != nil else { return event }
        var event = event
        func add(_ name: String, _ value: JSON) {
            if !event.details.contains(where: { $0.name == name }) {
                event.details.append(.init(name, value))
            }
        }
        add("stable", .string(models[i].config.stable))
        if let control = models[i].config.control {
            // What a cut rests on is what the arm had before it.
            let state = event.kind == .cut ? before : models[i].decided
            let ppm = models[i].config.weight(of: control.version, under: state)
            add("control", ["version": .string(control.version), "weight": .string(Notation.text(ppm: ppm))])
        }
        add("epoch_before", .count(before.epoch))
        add("epoch_after", .count(models[i].decided.epoch))
        if let url = runbook(event, models[i].config) { add("runbook_url", .string(url)) }
        if let owed = Notice(event).flatMap({ hooks.notices?.owed($0) }), !owed.isEmpty {
            add("actions", .array(owed.map(JSON.string)))
        }
        return event
    }

    /// What the rule that decided says to do next.
    private func runbook(_ event: JournalEvent, _ model: ModelConfig) -> String? {
        let rule = event.details.first { $0.name == "guardrail" || $0.name == "reading" }?.value
        let name = rule?.string ?? rule?["name"]?.string
        return model.allGuardrails.first { $0.name == name }?.runbookURL ?? model.runbookURL
    }

    /// Tells of the decisions in a step that take traffic away or move none.
    /// - Returns: the others, to be told once the step is durable.
    func announce(_ events: [JournalEvent]) -> [Notice] {
        guard let sink = hooks.notices else { return [] }
        let notices = events.compactMap { Notice($0) }
        for notice in notices where !notice.givesTraffic { sink.post(notice) }
        return notices.filter(\.givesTraffic)
    }
}
