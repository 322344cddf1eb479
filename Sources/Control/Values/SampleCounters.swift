// What became of the samples and values of every model that has `values`, for the metrics page: the reader's
// thread and the controller add, whoever serves the page takes a copy.
// Invariant: a model's counts only grow while the process lives, also over a reload that changes its values.

import Synchronization

/// Counts of one model.
package struct SampleCounts: Sendable, Equatable {
    /// Samples by what reading them came to.
    package var samples: [SampleResult: UInt64] = [:]
    /// By the value's name.
    package var values: [String: Findings] = [:]
    /// Values that the controller had no room for.
    package var dropped: UInt64 = 0
    /// Values that came after their tick had been judged.
    package var late: UInt64 = 0

    /// What was found of one value.
    package struct Findings: Sendable, Equatable {
        package var numbers: UInt64 = 0
        package var missing: UInt64 = 0
        package var unknown: UInt64 = 0
    }
}

/// What reading a sample came to; the worst that is true of it, in this order.
package enum SampleResult: String, Sendable, CaseIterable {
    /// A body has a content coding, which is not undone.
    case encoded
    /// A head or body is not here as a whole, and what was looked for may lie beyond.
    case truncated
    /// A body is no JSON.
    case malformed
    case read
}

/// The counts of all models.
package final class SampleCounters: Sendable {
    private let counts = Mutex<[String: SampleCounts]>([:])

    package init() {}

    /// By the model's name.
    package var all: [String: SampleCounts] { counts.withLock { $0 } }

    func change(_ model: String, _ body: (inout SampleCounts) -> Void) {
        counts.withLock { body(&$0[model, default: SampleCounts()]) }
    }
}
