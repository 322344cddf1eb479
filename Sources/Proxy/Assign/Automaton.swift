// The table that patterns compile to, and its hot loop. One automaton can decide up to 128 patterns over
// one value in one pass: each state carries the patterns that match once it is reached, and those that
// match if the value ends there, as bit masks.
// Invariant: every entry of `transitions` is a state; a run takes at most one step per byte.

/// One bit per pattern, or per cohort.
typealias CohortMask = UInt128

/// A deterministic automaton over byte classes. State 0 is dead; states from `firstFinding` on complete a
/// match.
struct Automaton: Sendable, Equatable {
    var start: UInt16
    var firstFinding: UInt16
    /// log2 of a row's length.
    var shift: UInt8
    /// All patterns: once all are found, the rest of the value does not matter.
    var whole: CohortMask
    /// Class of each of the 256 byte values.
    var classes: [UInt8]
    /// Row per state, column per class.
    var transitions: [UInt16]
    /// Patterns found on reaching a state, and on ending in it.
    var found: [CohortMask]
    var foundAtEnd: [CohortMask]

    /// The table over the arrays, for a pattern that is matched outside a plan's image.
    func withTable<Result>(_ body: (AutomatonTable) -> Result) -> Result {
        classes.withUnsafeBytes { classes in
            transitions.withUnsafeBufferPointer { transitions in
                found.withUnsafeBufferPointer { found in
                    foundAtEnd.withUnsafeBufferPointer { foundAtEnd in
                        guard let classes = classes.baseAddress, let transitions = transitions.baseAddress,
                            let found = found.baseAddress, let foundAtEnd = foundAtEnd.baseAddress
                        else { preconditionFailure("an automaton without states") }
                        return body(
                            AutomatonTable(
                                classes: classes, transitions: transitions, found: found,
                                foundAtEnd: foundAtEnd, whole: whole, start: start,
                                firstFinding: firstFinding, shift: shift))
                    }
                }
            }
        }
    }
}

/// An automaton as pointers into whatever owns it.
struct AutomatonTable {
    let classes: UnsafeRawPointer
    let transitions: UnsafePointer<UInt16>
    let found: UnsafePointer<CohortMask>
    let foundAtEnd: UnsafePointer<CohortMask>
    let whole: CohortMask
    let start: UInt16
    let firstFinding: UInt16
    let shift: UInt8

    /// The patterns that match `bytes`.
    @inline(__always)
    func run(over bytes: UnsafeRawBufferPointer) -> CohortMask {
        guard let base = bytes.baseAddress else { return run(over: ByteView(classes, 0)) }
        return run(over: ByteView(base, bytes.count))
    }

    /// The patterns that match `bytes`.
    func run(over bytes: ByteView) -> CohortMask {
        var mask: CohortMask = 0
        var state = Int(start)
        // Dead (0) wraps around, so that one comparison finds both kinds of state that need a look.
        let plainMax = UInt(firstFinding) &- 1
        let shift = Int(self.shift)
        if UInt(bitPattern: state &- 1) >= plainMax {
            mask = found[state]
            if mask == whole { return mask }
        }
        var at = 0
        while at < bytes.count {
            let column = Int(classes.load(fromByteOffset: Int(bytes[at]), as: UInt8.self))
            state = Int(transitions[state &<< shift | column])
            if UInt(bitPattern: state &- 1) >= plainMax {
                if state == 0 { return mask }
                mask |= found[state]
                if mask == whole { return mask }
            }
            at &+= 1
        }
        return mask | foundAtEnd[state]
    }
}
