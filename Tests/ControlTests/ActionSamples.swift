// What the tests of actions share: notices, contexts, and a journal in memory.

import Payload
import Platform
import Synchronization

@testable import Control
@testable import Sidecar

extension Notice {
    /// A cut of v2 in favour of v1, told by a journal line as the control loop writes it.
    static func sample(
        _ kind: JournalEvent.Kind = .cut, model: String = "m", reason: String = "too many errors",
        at: UInt64 = 0,
        details: [JSON.Member] = []
    ) -> Notice {
        var members: [JSON.Member] = [
            .init("stable", "v1"), .init("epoch_before", 6), .init("epoch_after", 7),
            .init("runbook_url", "https://run.example/book"),
        ]
        switch kind {
        case .cut:
            members += [
                .init("versions", ["v2"]), .init("cut", "cut-1"), .init("evidence", [["name": "errors"]]),
            ]
        case .recovery:
            members += [.init("cut", "cut-1"), .init("recovery", ["verdict": "recovered"])]
        default: members += [.init("version", "v2")]
        }
        let named = Set(details.map(\.name))
        members = members.filter { !named.contains($0.name) } + details
        let event = JournalEvent(
            at: at == 0 ? Clock.wallMicros() : at, kind, model: model, actor: "weir", reason: reason,
            details: members)
        guard let notice = Notice(event) else { preconditionFailure("\(kind) has a notice") }
        return notice
    }
}

extension AttemptContext {
    static let first = AttemptContext(attempt: 1, wallMicros: 1_700_000_000_000_000, isCancelled: { false })
}

/// Journal lines in memory, from any thread.
final class LineBox: Sendable {
    private let lines = Mutex<[JournalEvent]>([])

    var take: @Sendable ([JournalEvent]) -> Void {
        { [self] events in lines.withLock { $0 += events } }
    }
    var all: [JournalEvent] { lines.withLock { $0 } }
    func all(_ kind: JournalEvent.Kind) -> [JournalEvent] { all.filter { $0.kind == kind } }
}

extension JournalEvent {
    func detail(_ name: String) -> JSON? { details.first { $0.name == name }?.value }
    var isFinal: Bool { detail("final")?.bool == true }
}

extension AttemptOutcome {
    /// done, failed, refused or cancelled, and what was said.
    var told: (word: String, text: String) {
        switch self {
        case .done(let text, _): ("done", text)
        case .failed(let text, _, _): ("failed", text)
        case .refused(let text, _): ("refused", text)
        case .cancelled: ("cancelled", "")
        }
    }

    var details: [JSON.Member] {
        switch self {
        case .done(_, let details), .failed(_, _, let details), .refused(_, let details): details
        case .cancelled: []
        }
    }
}
