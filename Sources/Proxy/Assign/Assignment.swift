// The result of assignment: the version for one request, why, and what measuring needs to know about the
// draw. Trivially copyable; lives in the exchange.
// Invariant: `version` is eligible (neither barred nor quarantined) whenever `hasVersion`.

import Platform

/// Index of a model in the plan's `models`; means nothing beyond that plan.
typealias ModelIndex = Int

/// Why a request was given its version.
public enum AssignmentReason: UInt8, CaseIterable, Sendable {
    /// A trusted caller asked for it (`x-weir-version`).
    case forced
    /// The first cohort whose conditions hold pins it.
    case cohort
    /// Weighted rendezvous of the sticky key.
    case sticky
    /// A random draw by weight.
    case random
    /// The version chosen first was not usable; stable took over.
    case fallback
    /// The version chosen first is barred by a cut or quarantined; stable took over.
    case cut

    /// The reason's word in the access log and metrics.
    public var label: String {
        switch self {
        case .forced: "forced"
        case .cohort: "cohort"
        case .sticky: "sticky"
        case .random: "random"
        case .fallback: "fallback"
        case .cut: "cut"
        }
    }
}

/// The version of one request.
struct Assignment: Sendable, Equatable {
    /// Hash of the sticky key under the model's salt; 0 when no key was present or none was looked at.
    var keyHash: UInt64
    /// Share of the split that `version` has in force, in parts per million: its own weight, and for stable
    /// also the weights of barred versions.
    var weightPPM: UInt32
    /// Index into the model's versions; `noVersion` when every version is barred.
    var version: UInt8
    var reason: AssignmentReason
    /// Index of the cohort that pinned the request, also when a cut then overruled it; `noCohort`
    /// otherwise.
    var cohort: UInt8
    /// Whether a draw decided (sticky or random): the exchange is evidence for a comparison by weight.
    var isRandomised: Bool
    /// Whether the model has a shadow and all of its conditions hold.
    var matchesShadow: Bool

    static let noVersion: UInt8 = .max
    static let noCohort: UInt8 = .max

    /// False: no version may serve the request (503 `no_version`).
    var hasVersion: Bool { version != Assignment.noVersion }
    var isSticky: Bool { keyHash != 0 }
}

/// The switches of a model, as control flips them under a core's feet: one atomic word per model.
struct Switches: Sendable, Equatable {
    /// Bit i: version i is barred. Bit 63: the split is cut, everything goes to stable.
    var word: UInt64

    static let none = Switches(word: 0)
    static let splitCut: UInt64 = 1 << 63

    init(word: UInt64) { self.word = word }

    /// The versions (bit per index) that may be chosen, of those in `among`. A cut split leaves stable in any
    /// case: the word may outlive the plan whose indices it was made for, and must not bar what it protects.
    @inline(__always)
    func eligible(among: UInt32, stable: UInt32) -> UInt32 {
        word & Switches.splitCut == 0 ? among & ~UInt32(truncatingIfNeeded: word) : among & stable
    }
}

/// Who called: the address that conditions and client-address keys see.
struct Caller: Sendable, Equatable {
    var client: IPAddress
    /// Whether the peer is in the plan's trusted ranges, so that its `x-weir-version` is obeyed.
    var isTrusted: Bool

    init(client: IPAddress, isTrusted: Bool) {
        self.client = client
        self.isTrusted = isTrusted
    }
}
