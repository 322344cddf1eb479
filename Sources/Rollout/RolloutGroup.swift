// Models that must move together: each walks its own program, and none takes a step before all may. A table:
//
//   another member is          a member that walks
//   walking, behind            waits: nobody gets ahead
//   walking, at the same step  waits until nothing blocks the other
//   walking, ahead             does not wait: it is the one that is behind
//   paused, held or cut        waits
//   promoted, fixed weights    does not wait
//
// So members at one step go in the same tick or not at all. Only an operator's verb over one of them can put
// it ahead; then the others follow by their own conditions, and it waits for them.
// Invariant: who goes is decided from how all stood before anyone went.

/// One model of a group as the others see it.
public struct GroupMember: Sendable {
    /// Where it is, and whether it walks.
    public enum Standing: Sendable, Hashable {
        /// Places entered so far: 0 before the first stage.
        case walking(step: Int)
        /// An operator has to say something first.
        case standing
        /// Promoted, or without a program.
        case done
    }

    public var model: String
    public var standing: Standing
    /// What keeps it where it is, the others left out.
    public var blockers: [RolloutBlocker]
    /// Where that is, in words.
    var place: String

    /// The arguments are what the machine's `tick` input carries.
    public init(
        model: String, _ state: RolloutState, _ readings: [VersionReadings], stage: StageReading?,
        conditions: RolloutConditions, wallMicros: UInt64
    ) {
        self.model = model
        place = state.climb.flatMap { climb in state.setup.program?.name(climb.place) } ?? "its fixed weights"
        blockers = RolloutMachine.blockers(
            state, readings, stage: stage, conditions: conditions, wallMicros: wallMicros)
        switch state.phase {
        case .waiting, .stage, .baking:
            standing = state.step.map { .walking(step: $0) } ?? .done
        case .held(let record) where record.cause == .dryRunEnded:
            standing = .done
            blockers = []
        case .paused, .held:
            standing = .standing
        case .cut(let record):
            standing = .standing
            blockers = [.cut(id: record.id, state.exit(of: record))]
        case .split, .promoted:
            standing = .done
        }
        if state.phase == .paused { blockers = [.paused] }
    }

    /// Whether another member keeps one at `step` where it is.
    fileprivate func blocks(_ step: Int) -> Bool {
        switch standing {
        case .walking(let own): own < step || (own == step && !blockers.isEmpty)
        case .standing: true
        case .done: false
        }
    }

    /// Why, for people.
    fileprivate var reason: String {
        let shown = blockers.prefix(3).map(\.sentence)
        let more = blockers.count > 3 ? ["\(blockers.count - 3) more"] : []
        return shown.isEmpty ? place : "\(place), " + (shown + more).joined(separator: "; ")
    }
}

/// What follows from how the members of a group stand.
public enum RolloutGroup {
    /// Indices of the members that take their next step now, in the group's order.
    public static func ready(_ members: [GroupMember]) -> [Int] {
        members.indices.filter { m in
            guard case .walking(let step) = members[m].standing, members[m].blockers.isEmpty else {
                return false
            }
            return !members.indices.contains { $0 != m && members[$0].blocks(step) }
        }
    }

    /// What a member waits for because of the others; nothing unless it walks.
    public static func waits(of m: Int, in members: [GroupMember], group: String) -> [RolloutBlocker] {
        guard case .walking(let step) = members[m].standing else { return [] }
        return members.indices.filter { $0 != m && members[$0].blocks(step) }.map {
            .member(group: group, model: members[$0].model, reason: members[$0].reason)
        }
    }
}

extension RolloutState {
    /// Places that the climb has entered; nil without a program.
    fileprivate var step: Int? {
        guard let program = setup.program, let climb else { return nil }
        return switch climb.place {
        case .before: 0
        case .stage(let i): i + 1
        case .baking: program.stages.count + 1
        }
    }
}
