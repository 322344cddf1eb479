// What a tick's evidence does: a guardrail's verdict becomes a cut, a hold, an alert, or a journal line about
// what would have been done. The candidate of a program is held to its pre-flight checks as well. The table:
//
//   action   dry run      blackout, alerts only   else
//   cut      would have   alert                   cut; alert once the rollback window of a promotion is over,
//                                                 and while stable has no usable endpoint: then it is cut as
//                                                 soon as stable has one, if the guardrail still fails. While
//                                                 stable's first checks are awaited nothing is said either
//   hold     would have   alert                   stage, baking: held, unless acknowledged by a resume;
//                                                 alert where there is nothing to hold
//   alert    (rule only)  alert                   alert
//
// Invariant: a verdict cuts in its own step; everything else is said once per trip, and again only after the
// guardrail has passed.

extension RolloutStep {
    /// What a failing guardrail comes to.
    private enum Consequence {
        case cut
        case hold
        case alert
        case alertInstead(String)
        /// A cut that would move users to a stable without any endpoint, or that cannot be reached.
        case withheldCut(String)
        /// A cut that waits for the first verdict of stable's checks: nothing is said of it yet.
        case awaitedCut(String)
        case wouldHave(WouldHaveRecord.What)
        /// The rollout stands still already, or the trip was acknowledged.
        case nothing
    }

    /// Cuts what trips with that consequence; holds, alerts and journals for the rest.
    mutating func judge(_ facts: TickFacts) {
        let watched = withPreflight(facts).filter {
            state.setup.candidates.contains($0.version) && state.quarantined[$0.version] == nil
        }
        var tripped: [(version: VersionReadings, trip: GuardrailReading)] = []
        var holding: [GuardrailReading] = []
        for version in watched {
            var trip: GuardrailReading?
            for reading in version.readings where reading.verdict == .fail {
                switch consequence(of: reading, version.version, facts.conditions) {
                case .cut: trip = trip ?? reading
                case .hold: holding.append(reading)
                case .nothing, .awaitedCut: break
                case .alert: say(.alert(version: version.version, reading: reading), version, reading)
                case .alertInstead(let because), .withheldCut(let because):
                    let event = RolloutEvent.alertInstead(
                        version: version.version, reading: reading, because: because)
                    say(event, version, reading)
                case .wouldHave(let what):
                    let record = WouldHaveRecord(
                        what: what, version: version.version,
                        reason: "dry run: \(version.version): \(reading.rule): \(reading.reason)",
                        reading: reading)
                    say(.wouldHave(record), version, reading)
                }
            }
            for reading in version.readings where reading.verdict == .pass { forget(version, reading) }
            if let trip { tripped.append((version, trip)) }
        }
        if let first = tripped.first {
            let others = tripped.dropFirst().map(\.version.version)
            let also = others.isEmpty ? "" : "; as well: " + others.joined(separator: ", ")
            cut(
                tripped.map(\.version.version), guardrail: first.trip.name, actor: "weir",
                reason: "\(first.version.version): \(first.trip.rule): \(first.trip.reason)\(also)",
                evidence: tripped.flatMap(\.version.readings))
        } else if let first = holding.first {
            hold(
                .guardrails(holding.map(\.name)), actor: "weir",
                reason: "\(first.rule): \(first.reason)")
        }
    }

    private func consequence(
        of reading: GuardrailReading, _ version: String, _ conditions: RolloutConditions
    ) -> Consequence {
        let what: WouldHaveRecord.What =
            switch reading.action {
            case .cut: .cut
            case .hold: .hold
            case .alert: .alert
            }
        if reading.isDryRun { return .wouldHave(what) }
        if reading.action == .alert { return .alert }
        if state.setup.program?.isDryRun ?? false { return .wouldHave(what) }
        if conditions.blackoutAlertsOnly, let blackout = conditions.blackout {
            return .alertInstead("automation only alerts in the blackout \(blackout)")
        }
        if reading.action == .cut {
            if isRollbackWindowOver {
                return .alertInstead("the rollback window after the promotion is over")
            }
            guard let obstacle = obstacle(toCut: [version], conditions) else { return .cut }
            let because = "would cut, but \(obstacle), if the rule still fails then"
            return conditions.stable == .undecided ? .awaitedCut(because) : .withheldCut(because)
        }
        switch state.phase {
        case .stage, .baking:
            guard let climb = state.climb, climb.candidate == version else { return .alert }
            return climb.acknowledged.contains(reading.name) ? .nothing : .hold
        case .paused, .held: return .nothing
        case .split, .waiting, .cut, .promoted: return .alertInstead("no stage is under way to be held")
        }
    }

    /// What keeps automation from cutting these versions; nil: nothing does. A cut moves the users of every
    /// version with weight to stable, and those who reach a cut version without weight. Copies move nobody.
    func obstacle(toCut versions: [String], _ conditions: RolloutConditions) -> String? {
        let movesUsers =
            state.setup.candidates.contains { state.weights[$0] ?? 0 > 0 }
            || versions.contains(where: conditions.reached.contains)
        guard movesUsers else { return nil }
        switch conditions.stable {
        case .usable: return nil
        case .undecided:
            return "the checks of stable \(stable) have not decided yet: it is cut as soon as one passes"
        case .down:
            return "stable \(stable) has no usable endpoint: it is cut as soon as one is usable"
        case .unreached:
            return "what is sent again to stable \(stable) does not reach it: it is cut as soon as it does"
        }
    }

    /// What the cuts of a version wait for, and which of its guardrails would cut; nil: nothing waits.
    func withheldCut(_ version: VersionReadings, _ conditions: RolloutConditions) -> CutWithheld? {
        guard state.setup.candidates.contains(version.version), state.quarantined[version.version] == nil
        else { return nil }
        for reading in version.readings where reading.verdict == .fail {
            switch consequence(of: reading, version.version, conditions) {
            case .withheldCut(let because), .awaitedCut(let because):
                return CutWithheld(version: version.version, guardrail: reading.name, because: because)
            case .cut, .hold, .alert, .alertInstead, .wouldHave, .nothing: continue
            }
        }
        return nil
    }

    private var isRollbackWindowOver: Bool {
        guard case .promoted(let record) = state.phase, let window = state.setup.program?.rollbackWindowMicros
        else { return false }
        return steadyMicros >= (record.steadyMicros ?? record.wallMicros).saturatingAdd(window)
    }

    /// The readings, the pre-flight checks of the program's candidate among them as one more guardrail: it
    /// cuts while the candidate has traffic and alerts before.
    func withPreflight(_ facts: TickFacts) -> [VersionReadings] {
        guard let climb = state.climb, let action = preflightAction(climb) else { return facts.readings }
        let reading: GuardrailReading
        switch facts.conditions.preflight {
        case .unknown: return facts.readings
        case .passed:
            guard state.alerts.contains("\(climb.candidate)/preflight") else { return facts.readings }
            reading = GuardrailReading(
                name: "preflight", rule: "pre-flight checks", verdict: .pass, action: action, progress: 0,
                reason: "passed")
        case .failed(let sentence):
            reading = GuardrailReading(
                name: "preflight", rule: "pre-flight checks", verdict: .fail, action: action, progress: 1,
                reason: sentence)
        }
        var all = facts.readings
        if let i = all.firstIndex(where: { $0.version == climb.candidate }) {
            all[i].readings.append(reading)
        } else {
            all.append(VersionReadings(version: climb.candidate, readings: [reading]))
        }
        return all
    }

    private func preflightAction(_ climb: Climb) -> GuardrailSpec.Action? {
        switch state.phase {
        case .split, .cut: nil
        case .waiting: .alert
        case .stage, .baking: .cut
        case .paused, .held: climb.place == .before ? .alert : .cut
        case .promoted(let record): record.version == climb.candidate ? .cut : nil
        }
    }

    /// Journals a trip, once until the guardrail has passed again.
    private mutating func say(
        _ event: RolloutEvent, _ version: VersionReadings, _ reading: GuardrailReading
    ) {
        let key = "\(version.version)/\(reading.name)"
        guard !state.alerts.contains(key) else { return }
        state.alerts = (state.alerts + [key]).sorted()
        actions.append(.journal(event))
    }

    private mutating func forget(_ version: VersionReadings, _ reading: GuardrailReading) {
        if !state.alerts.isEmpty { state.alerts.removeAll { $0 == "\(version.version)/\(reading.name)" } }
        if version.version == state.climb?.candidate, !(state.climb?.acknowledged.isEmpty ?? true) {
            state.climb?.acknowledged.removeAll { $0 == reading.name }
        }
    }

    /// The control arm's traffic goes back to the rest of stable for the rest of the attempt. What gates have
    /// proven beside a bad arm is nothing, so the place is entered anew.
    mutating func withdrawControl(_ version: String, _ reading: GuardrailReading) {
        switch state.phase {
        case .stage, .baking, .paused, .held: break
        case .split, .waiting, .cut, .promoted: return
        }
        guard var climb = state.climb, climb.controlWithdrawn == nil else { return }
        let record = ControlRecord(
            version: version, wallMicros: wallMicros, guardrail: reading.name,
            reason: "the control arm is worse than the rest of stable, which the candidate is compared with"
                + " from now on: \(reading.rule): \(reading.reason)")
        climb.controlWithdrawn = record
        climb.visit += 1
        state.climb = climb
        actions.append(.journal(.controlWithdrawn(record, reading)))
    }

    /// The answer of the recovery check, once.
    mutating func take(_ reading: RecoveryReading?) {
        guard let reading, case .cut(let record) = state.phase, state.recovery == .watching else { return }
        guard reading.verdict != .watching else { return }
        state.recovery = reading.verdict
        actions += [.journal(.recovery(cutID: record.id, reading)), .endRecovery]
    }
}

extension UInt64 {
    /// The end of a time that may be as long as it likes.
    func saturatingAdd(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}

/// A cut that is not made, because stable has no usable endpoint to take the users.
public struct CutWithheld: Sendable, Hashable {
    public var version: String
    public var guardrail: String
    /// A sentence.
    public var because: String

    public init(version: String, guardrail: String, because: String) {
        self.version = version
        self.guardrail = guardrail
        self.because = because
    }
}

extension RolloutMachine {
    /// What keeps automation from cutting these versions now: stable cannot take their users. nil: nothing
    /// does. A person's rollback does not ask.
    public static func obstacle(
        _ state: RolloutState, toCut versions: [String], _ conditions: RolloutConditions
    ) -> String? {
        RolloutStep(state: state, wallMicros: 0, steadyMicros: 0).obstacle(toCut: versions, conditions)
    }

    /// The cuts that wait for stable, those of the pre-flight checks among them.
    public static func withheldCuts(
        _ state: RolloutState, _ readings: [VersionReadings], _ conditions: RolloutConditions,
        steadyMicros: UInt64
    ) -> [CutWithheld] {
        guard conditions.stable != .usable else { return [] }
        let step = RolloutStep(state: state, wallMicros: 0, steadyMicros: steadyMicros)
        let facts = TickFacts(readings: readings, stage: nil, conditions: conditions, wallMicros: 0)
        return step.withPreflight(facts).compactMap { step.withheldCut($0, conditions) }
    }
}
