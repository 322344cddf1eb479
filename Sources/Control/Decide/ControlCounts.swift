// What the control loop and its surroundings have counted since the start, for the metrics page.
// Place: filled by `ControlLoop.snapshot`, and by whoever owns the access log and the captures.
// Invariant: counters only grow while the process runs.

import Metrics

/// What control counts about its own work.
package struct ControlCounts: Sendable {
    package var reloadsApplied: UInt64 = 0
    package var reloadsRefused: UInt64 = 0
    /// Decisions that could not be made durable.
    package var journalFailures: UInt64 = 0
    /// Whether the start found journal lines or the state file gone; and the lines that it applied.
    package var stateIsDamaged = false
    package var linesReplayed: UInt64 = 0
    /// Whether the state file cannot be written while the journal can.
    package var stateIsOwed = false
    /// Space for decisions on a full disk, and whether it is being used up.
    package var reserveBytes = 0
    package var reserveIsInUse = false
    /// Plans of what was decided that could not be built.
    package var planFailures: UInt64 = 0
    /// Journal files closed, and attempts at it that failed.
    package var journalRotations: UInt64 = 0
    package var journalRotationFailures: UInt64 = 0
    package var accessLines: UInt64 = 0
    /// Lines that the file did not take.
    package var accessLinesLost: UInt64 = 0
    /// Captured exchanges, and those that the disk did not take.
    package var captures: UInt64 = 0
    package var capturesLost: UInt64 = 0
    /// Plan epoch that every core obeys.
    package var obeyedEpoch: UInt64 = 0
    /// From a cut's verdict until no core assigned to the cut version any more.
    package var cutTimes = HistogramSnapshot()

    package init() {}
}
