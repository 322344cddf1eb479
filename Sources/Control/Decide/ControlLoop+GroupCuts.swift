// A group's cut on its way to the other members: each is looked at anew when it can be cut, because what is
// pending may be minutes old, and people and configs have had their say meanwhile. The table:
//
//   since the cut that began it                                    the member
//   the group is gone, or that model is, or its cut was lifted     is not cut: the group's cut ends
//   it left the group, or its candidates are others                is left out
//   an operator weighed it by force, resumed it, lifted the bar    is left out
//   it is in dry run, or in a blackout that only alerts            is left out, with what these say instead
//   its stable cannot take its users                               waits
//   else                                                           is cut: those candidates of then
//
// Invariants: no version is barred for what another version did; the journal says who was left out and why;
// a verb's word and its trace in the pending cut are durable in one line.

import Logging
import Payload
import Rollout

extension ControlLoop {
    /// What becomes of a member.
    private enum Fate {
        case done
        case waits
        case due([String])
        case leftOut(String)
    }

    /// Candidates of a model that are not barred.
    func openCandidates(_ model: String) -> [String] {
        guard let i = indexByName[model] else { return [] }
        let state = models[i].decided
        return state.setup.candidates.filter { state.quarantined[$0] == nil }
    }

    /// Cuts who is due, and says what became of the others.
    func carryOut(_ old: GroupTrip) {
        if let why = whyEnded(old) { return end(old, why) }
        guard isCauseInForce(old) else { return }
        var trip = old
        for member in old.rest {
            switch fate(of: member, by: trip) {
            case .waits: continue
            case .done: break
            case .leftOut(let why): trip.leftOut = (trip.leftOut ?? [:]).merging([member: why]) { $1 }
            case .due(let versions): guard cut(member, versions, by: trip) else { continue }
            }
            trip.rest.removeAll { $0 == member }
        }
        guard trip != old || trip.rest.isEmpty else { return }
        saved.groupTrips.removeAll { $0.group == trip.group }
        if !trip.rest.isEmpty { saved.groupTrips.append(trip) }
        record(trip, state(of: trip))
    }

    /// Why nobody is cut any more; nil while it goes on.
    private func whyEnded(_ trip: GroupTrip) -> String? {
        guard let group = config.groups.first(where: { $0.name == trip.group }) else {
            return "the config has no such group any more"
        }
        guard group.models.contains(trip.model), let i = indexByName[trip.model] else {
            return "\(trip.model), whose \(trip.cutID) began it, left the group"
        }
        let isHeld = [models[i].decided, models[i].durable].contains { state in
            state.quarantined.values.contains { $0.cutID == trip.cutID }
        }
        return isHeld ? nil : "\(trip.cutID) of \(trip.model), which began it, was lifted"
    }

    /// Whether the cut that began it holds, and no verb that lifts it waits for the disk.
    private func isCauseInForce(_ trip: GroupTrip) -> Bool {
        guard let i = indexByName[trip.model] else { return false }
        return models[i].decided.quarantined.values.contains { $0.cutID == trip.cutID }
    }

    private func end(_ trip: GroupTrip, _ why: String) {
        saved.groupTrips.removeAll { $0.group == trip.group }
        guard !trip.rest.isEmpty else { return }
        let rest = trip.rest.joined(separator: ", ")
        record(trip, "the cut of group \(trip.group) ends: \(why); not cut for it: \(rest)")
    }

    private func record(_ trip: GroupTrip, _ reason: String) {
        var event = event(trip, reason)
        event.change = StateChange(models: [:], groups: saved.groupTrips)
        log.notice("\(reason)")
        record([event])
    }

    private func event(_ trip: GroupTrip, _ reason: String) -> JournalEvent {
        var details: [JSON.Member] = [
            .init("group", .string(trip.group)), .init("cut", .string(trip.cutID)),
            .init("left", .array(trip.rest.map(JSON.string))),
        ]
        if let leftOut = trip.leftOut {
            details.append(
                .init(
                    "left_out",
                    .array(
                        leftOut.sorted { $0.key < $1.key }.map {
                            ["model": .string($0.key), "reason": .string($0.value)]
                        })))
        }
        return JournalEvent(at: wallMicros, .group, model: trip.model, reason: reason, details: details)
    }

    /// How far a cut has come, in a sentence.
    private func state(of trip: GroupTrip) -> String {
        let leftOut = (trip.leftOut ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        let except = leftOut.isEmpty ? "" : "; left out: " + leftOut.joined(separator: "; ")
        guard trip.rest.isEmpty else {
            return "group \(trip.group) is cut in part: \(trip.rest.joined(separator: ", ")) left\(except)"
        }
        let uncut = (config.groups.first { $0.name == trip.group }?.models ?? []).filter {
            !openCandidates($0).isEmpty
        }
        guard !uncut.isEmpty || !leftOut.isEmpty else { return "every model of group \(trip.group) is cut" }
        let unsaid = uncut.filter { trip.leftOut?[$0] == nil }
        let more = unsaid.isEmpty ? "" : "; with open candidates: \(unsaid.joined(separator: ", "))"
        return "the cut of group \(trip.group) is over\(except)\(more)"
    }

    private func fate(of member: String, by trip: GroupTrip) -> Fate {
        guard let i = indexByName[member] else { return .leftOut("the config has no such model any more") }
        guard groups[member]?.name == trip.group else { return .leftOut("it left the group") }
        let open = openCandidates(member)
        let due = trip.due?[member] ?? open
        let versions = open.filter(due.contains)
        guard !versions.isEmpty else {
            guard !open.isEmpty, !due.isEmpty else { return .done }
            guard !due.contains(where: models[i].decided.setup.candidates.contains) else { return .done }
            let then = due.joined(separator: ", ")
            return .leftOut("its candidate is \(open.joined(separator: ", ")), and was \(then) at that cut")
        }
        if let why = insteadOfCut(i, versions, by: trip) { return .leftOut(why) }
        return obstacle(i, toCut: versions) == nil ? .due(versions) : .waits
    }

    /// What a dry run or a blackout does in the cut's place, and that it was done; nil: neither is in force.
    private func insteadOfCut(_ i: Int, _ versions: [String], by trip: GroupTrip) -> String? {
        let reason = reason(of: trip)
        if models[i].decided.setup.program?.isDryRun ?? false {
            for version in versions {
                let record = WouldHaveRecord(
                    what: .cut, version: version, reason: "dry run: \(version): \(reason)")
                tell(i, .wouldHave(record))
            }
            return "its rollout is a dry run, so the cut is journaled only"
        }
        let conditions = conditions(i)
        guard conditions.blackoutAlertsOnly, let blackout = conditions.blackout else { return nil }
        for version in versions {
            tell(
                CutWithheld(
                    version: version, guardrail: "group \(trip.group)",
                    because: "would cut, but automation only alerts in the blackout \(blackout)"), i)
        }
        return "automation only alerts in the blackout \(blackout)"
    }

    private func tell(_ i: Int, _ event: RolloutEvent) {
        let told = addressed(
            JournalEvent(event, model: models[i].config.name, at: wallMicros), i, models[i].decided)
        log.notice("\(event.headline(told.reason))", metadata: ["model": "\(models[i].config.name)"])
        note([told])
        _ = announce([told])
    }

    private func reason(of trip: GroupTrip) -> String {
        "group \(trip.group): \(trip.model) was cut (\(trip.cutID)): \(trip.reason)"
    }

    /// Cuts these candidates of a member; all of them in one cut where no other is open.
    /// - Returns: whether they are cut.
    private func cut(_ member: String, _ versions: [String], by trip: GroupTrip) -> Bool {
        guard let i = indexByName[member] else { return true }
        isSpreading = true
        defer { isSpreading = false }
        let named: [String?] = versions == openCandidates(member) ? [nil] : versions
        for version in named {
            let request = VerbRequest(
                verb: .rollback(version: version), actor: VerbRequest.weir, reason: reason(of: trip))
            apply(i, .verb(request), verb: nil)
        }
        return !openCandidates(member).contains(where: versions.contains)
    }
}

// MARK: Operators' verbs

extension ControlLoop {
    /// Why a verb needs force: it would give weight to a version whose cut waits for stable. Nil where it
    /// does not, or is refused anyway.
    func refusalForPendingCut(_ i: Int, _ request: VerbRequest) -> VerbAnswer? {
        guard !request.force else { return nil }
        let pending = withheldCuts(i)
        guard !pending.isEmpty else { return nil }
        let weighed = weighed(i, request)
        guard let cut = pending.first(where: { weighed.contains($0.version) }) else { return nil }
        let way = cut.guardrail.hasPrefix("group ") ? "unquarantine it or use force" : "use force"
        return .refused("\(cut.version) is to be cut: \(cut.guardrail) \(cut.because); \(way)")
    }

    /// Candidates that the verb gives more weight, or whose rollout it lets go on to give it.
    private func weighed(_ i: Int, _ request: VerbRequest) -> Set<String> {
        let before = models[i].decided
        let (after, actions) = RolloutMachine.step(
            before, .verb(request), wallMicros: wallMicros, steadyMicros: steadyMicros)
        for case .answer(.refused) in actions { return [] }
        var all = Set(after.weights.filter { $0.value > before.weights[$0.key] ?? 0 }.keys)
        switch request.verb {
        case .start, .approve, .retry, .resume, .skip, .promote:
            guard after != before else { break }
            if case .promoted(let record) = after.phase {
                all.insert(record.version)
            } else if let candidate = before.setup.program?.candidate {
                all.insert(candidate)
            }
        case .rollback, .pause, .weights, .unquarantine, .hold: break
        }
        return all
    }

    /// Leaves a member out of a group's pending cut, where an accepted verb says what is to become of it: one
    /// by force that leaves it weight, a resume, or one that lifts the bar. Called before the verb's step is
    /// posted.
    /// - Returns: the line to be journaled with the verb, and the cut as it was; nil: nothing was pending.
    func leaveOut(_ i: Int, _ verb: WaitingVerb, from before: RolloutState) -> (JournalEvent, GroupTrip)? {
        let member = models[i].config.name
        guard let t = saved.groupTrips.firstIndex(where: { $0.rest.contains(member) }) else { return nil }
        let old = saved.groupTrips[t]
        let due = old.due?[member] ?? before.setup.candidates
        let (word, after) = (verb.verb.word, models[i].decided)
        let hasWeight = due.contains { after.weights[$0] ?? 0 > 0 }
        let isDecided: Bool =
            switch word {
            case .unquarantine: verb.verb.version.map(due.contains) ?? false
            case .resume: hasWeight && (verb.verb.force || after != before)
            case .start, .promote, .approve, .skip, .retry, .weights: hasWeight && verb.verb.force
            // A rollback is a cut of its own, which takes the pending one's place.
            case .rollback, .pause, .hold, .reload: false
            }
        guard isDecided else { return nil }
        let what = "\(word.rawValue)\(verb.verb.force ? " by force" : ""), by \(verb.actor)"
        saved.groupTrips[t].rest.removeAll { $0 == member }
        saved.groupTrips[t].leftOut = (old.leftOut ?? [:]).merging([member: what]) { $1 }
        let reason = "\(member) is left out of the cut of group \(old.group): \(what)"
        log.notice("\(reason)")
        return (event(saved.groupTrips[t], reason), old)
    }

    /// Puts a member back into a group's pending cut: the verb that took it out was not durable.
    func takeBack(_ trip: GroupTrip, _ member: String) {
        guard let t = saved.groupTrips.firstIndex(where: { $0.group == trip.group }) else {
            saved.groupTrips.append(trip)
            if !partialCuts.contains(trip.group) { partialCuts.append(trip.group) }
            saved.groupTrips[saved.groupTrips.count - 1].rest = [member]
            return
        }
        let pending = saved.groupTrips[t]
        guard pending.cutID == trip.cutID, !pending.rest.contains(member) else { return }
        saved.groupTrips[t].rest.append(member)
        saved.groupTrips[t].leftOut?[member] = nil
    }

    /// What an accepted verb did to cuts that wait, and which still do, for its caller.
    func wordsOfPendingCuts(_ i: Int, leftOutOf group: String?) -> String {
        let out = group.map { "; the pending cut of group \($0) leaves \(models[i].config.name) out" } ?? ""
        return withheldCuts(i).reduce(out) {
            "\($0); \($1.version) is still to be cut: \($1.guardrail) \($1.because)"
        }
    }
}
