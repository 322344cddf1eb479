// Why a described request gets the version it gets: the values behind `weir explain` and the admin API's
// answer. Values only; whoever prints them chooses words.
// Invariant: `answer` is what the hot step decides; the steps say which facts led there.

import Platform

/// What assignment does with one described request, step by step in the order of the rules.
public struct Explanation: Sendable, Equatable {
    /// What becomes of the request.
    public enum Answer: Sendable, Equatable {
        /// The head is refused before assignment.
        case refused(status: UInt16, cause: String)
        /// No model's routes match (404).
        case noRoute
        /// Every version is barred or quarantined (503).
        case noVersion
        /// Always this version.
        case chosen(Chosen)
        /// A random draw by these shares, for want of a sticky key.
        case drawn([Share])
    }

    /// A version that is certain.
    public struct Chosen: Sendable, Equatable {
        public var version: String
        public var reason: AssignmentReason
        /// The cohort that pinned the request, also when a cut overruled it.
        public var cohort: String?
        /// The version's share of the split in force, parts per million.
        public var weightPPM: UInt32
    }

    /// A version's part of the split.
    public struct Share: Sendable, Equatable {
        public var version: String
        /// In the plan, and in force under the switches; parts per million.
        public var plannedPPM: UInt32
        public var weightPPM: UInt32
        public var isStable: Bool
        public var isQuarantined: Bool
        /// Switched off by a cut.
        public var isBarred: Bool
    }

    /// What became of `x-weir-version`.
    public enum Forced: Sendable, Equatable {
        case absent
        /// The caller is not trusted; the header is not looked at.
        case untrusted(name: String)
        /// No version of the model has this name; the other rules go on.
        case unknown(name: String)
        case obeyed(name: String)
    }

    /// One condition and what it found.
    public struct Tested: Sendable, Equatable {
        public var condition: Condition
        /// The value it looked at; nil where the request has none.
        public var found: String?
        public var holds: Bool
    }

    /// One cohort.
    public struct Cohort: Sendable, Equatable {
        public var name: String
        /// The version it pins.
        public var version: String
        public var conditions: [Tested]
        public var holds: Bool
    }

    /// One sticky key and what it found; an empty value counts as none.
    public struct Key: Sendable, Equatable {
        public var key: StickyKey
        public var found: String?
    }

    /// Whether the request would be copied.
    public struct Shadow: Sendable, Equatable {
        public var version: String
        public var conditions: [Tested]
        public var matches: Bool
        /// Share of matching requests that are copied, parts per million.
        public var ppm: UInt32
    }

    public var answer: Answer
    /// The model whose route matched, and the match.
    public var model: String?
    public var match: RouteMatch?
    /// The client as conditions see it, and whether its peer is trusted.
    public var client: IPAddress
    public var isTrusted: Bool
    public var forced: Forced
    /// In order; all are tested, the first that holds counts.
    public var cohorts: [Cohort]
    /// In order; the first that found something counts.
    public var keys: [Key]
    /// xxHash64 of that key under the model's salt, when the split was reached.
    public var keyHash: UInt64?
    public var shares: [Share]
    public var shadow: Shadow?
}
