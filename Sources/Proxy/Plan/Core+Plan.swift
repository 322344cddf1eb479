// Taking a plan over, between two turns: compile it into the tables by slot, leave every connection and every
// exchange as it is, and report the epoch. Endpoints that the plan no longer names close their idle
// connections; what is in flight to them finishes.

import Metrics
import Platform
import Synchronization

extension Core {
    /// Works off what control sent.
    func takeCommands() {
        link.commands.wakeup.drain()
        // What comes meanwhile signals anew.
        for _ in 0..<CoreCommand.kinds {
            guard let command = link.commands.take() else { return }
            switch command {
            case .obey(let next, let image): obey(next, image)
            case .drain: startDraining()
            case .cutOff: cutOff()
            case .stop: isStopped = true
            }
        }
    }

    private func obey(_ next: Plan, _ image: AssignImage) {
        guard next.epoch >= plan.epoch else { return }
        var arena = PlanArena()
        forgetPlan()
        for model in next.models { compile(model, &arena) }
        modelSlots = arena.values(next.models.map { Slot<ModelState>(row: $0.slot) })
        assign = AssignTable(image)
        plan = next
        // The old arena goes with this assignment; no state points into it any more.
        self.arena = arena
        closeForgotten()
        warmPlanned()
        // A bound may have been raised.
        for slot in versions.slots { callNext(slot) }
        meter.count(.plansAdopted)
        meter.set(.planEpoch, Int(truncatingIfNeeded: next.epoch))
        link.obeyedEpoch.store(next.epoch, ordering: .releasing)
    }

    /// Clears what the old plan said; counters and pools stay.
    private func forgetPlan() {
        for slot in models.slots {
            let model = models.pointer(slot)
            model.pointee.isPlanned = false
            model.pointee.stable = .none
            model.pointee.versions = nil
            model.pointee.versionCount = 0
            model.pointee.shadowVersion = .none
            model.pointee.isTapped = false
        }
        for slot in versions.slots {
            let version = versions.pointer(slot)
            version.pointee.isPlanned = false
            version.pointee.endpoints = nil
            version.pointee.endpointCount = 0
            version.pointee.rewrite = RewriteTable()
            version.pointee.versionLine = UnsafeRawBufferPointer(start: nil, count: 0)
        }
        for slot in endpoints.slots { endpoints[slot].isPlanned = false }
    }

    private func compile(_ model: ModelPlan, _ arena: inout PlanArena) {
        models.grow(to: model.slot + 1, filling: ModelState())
        let state = models.pointer(Slot(row: model.slot))
        var slots: [Slot<VersionState>] = []
        for index in model.versions.indices {
            compile(version: index, of: model, &arena)
            slots.append(Slot(row: model.versions[index].slot))
        }
        state.pointee.isPlanned = true
        state.pointee.versions = arena.values(slots)
        state.pointee.versionCount = slots.count
        state.pointee.stable = slots[model.stable]
        state.pointee.timeouts = model.timeouts
        state.pointee.retries = model.retries
        state.pointee.shields = model.shield
        state.pointee.ignoresHalfClose = model.clientHalfClose == .ignore
        state.pointee.countsClientErrors = model.clientErrors == .count
        state.pointee.sendsVersion = model.sendsVersion
        state.pointee.sendsID = model.sendsID
        state.pointee.sendsEpoch = model.epochHeader != nil
        state.pointee.epoch = model.epochHeader ?? 0
        beginKeyRound(model, state)
        if let tap = model.tap {
            state.pointee.isTapped = true
            state.pointee.tapPPM = tap.ppm
            state.pointee.tapBodyMax = UInt32(clamping: min(tap.bodyBytesMax, Limits.tapBodyBytes))
            state.pointee.tapRecentEvery = tap.recentEvery ?? .forever
        }
        if let shadow = model.shadow, !model.versions[shadow.version].isQuarantined {
            state.pointee.shadowVersion = slots[shadow.version]
            state.pointee.shadowPPM = shadow.ppm
            state.pointee.shadowBodyMax = shadow.bodyBytesMax
            count(copies: shadow.inFlightMax, Slot(row: model.slot))
            state.pointee.shadowAge = shadow.ageMax
            state.pointee.isShadowCompared = shadow.isCompared
        }
    }

    /// Another round of counting keys begins with empty sketches.
    private func beginKeyRound(_ model: ModelPlan, _ state: UnsafeMutablePointer<ModelState>) {
        guard model.keyRound != state.pointee.keyRound else { return }
        state.pointee.keyRound = model.keyRound
        for version in model.versions { link.meter(version.slot).keys.clear() }
    }

    /// A version that gets copies only has connections of its own for them.
    private func isShadowOnly(_ version: VersionPlan, of model: ModelPlan) -> Bool {
        guard let shadow = model.shadow else { return false }
        return model.versions[shadow.version].slot == version.slot
            && model.versions[model.stable].slot != version.slot
    }

    private func compile(version index: Int, of model: ModelPlan, _ arena: inout PlanArena) {
        let version = model.versions[index]
        versions.grow(to: version.slot + 1, filling: VersionState())
        let state = versions.pointer(Slot(row: version.slot))
        state.pointee.isPlanned = true
        state.pointee.model = Slot(row: model.slot)
        // What its endpoints did before it lost its weight was judged then; a second chance begins clean.
        let returns = state.pointee.weightPPM == 0 && version.weightPPM > 0
        state.pointee.weightPPM = version.weightPPM
        state.pointee.staysWarm =
            version.weightPPM == 0 && !version.isQuarantined && !isShadowOnly(version, of: model)
        count(inFlight: version.inFlightMax, waiting: version.queueMax, Slot(row: version.slot))
        state.pointee.queueTimeout = version.queueTimeout
        state.pointee.slowStart = version.slowStart
        state.pointee.ejection = version.ejection
        state.pointee.rewrite = compile(version.rewrite, &arena)
        state.pointee.versionLine = arena.bytes("x-weir-version: \(model.label(of: index))\r\n")
        state.pointee.nameHash = ExchangeID.versionHash(model: model.name, version: version.name)
        var slots: [Slot<EndpointState>] = []
        for endpoint in version.endpoints {
            compile(endpoint, of: version)
            if returns { endpoints[Slot(row: endpoint.slot)].forgive() }
            slots.append(Slot(row: endpoint.slot))
        }
        state.pointee.endpoints = arena.values(slots)
        state.pointee.endpointCount = slots.count
    }

    private func compile(_ endpoint: EndpointPlan, of version: VersionPlan) {
        endpoints.grow(to: endpoint.slot + 1, filling: EndpointState())
        let state = endpoints.pointer(Slot(row: endpoint.slot))
        state.pointee.isPlanned = true
        state.pointee.version = Slot(row: version.slot)
        state.pointee.isChecked = endpoint.isChecked
        state.pointee.address = RawAddress(endpoint.address)
        if case .unix = endpoint.address { state.pointee.isUnix = true } else { state.pointee.isUnix = false }
    }

    private func compile(_ rewrite: RewritePlan, _ arena: inout PlanArena) -> RewriteTable {
        var table = RewriteTable()
        if let prefix = rewrite.pathPrefix {
            table.path = PathRewrite(from: arena.bytes(prefix.from), to: arena.bytes(prefix.to))
        }
        if let host = rewrite.host { table.host = arena.bytes(host) }
        table.added = arena.bytes(rewrite.addHeaders.map { "\($0.name): \($0.value)\r\n" }.joined())
        // An added header replaces what the client sent under its name.
        let names = rewrite.removeHeaders + rewrite.addHeaders.map(\.name)
        var removed: [UnsafeRawBufferPointer] = []
        for name in names { removed.append(arena.bytes(name)) }
        table.removed = arena.values(removed)
        table.removedCount = removed.count
        return table
    }

    /// Whether a bound over all cores is too small to be divided.
    private func isShared(_ bound: Int) -> Bool {
        seat.count > 1 && bound > 0 && bound < Limits.sharePerCoreMin * seat.count
    }

    /// What this core has to keep to: the whole bound where it is shared, else its part.
    private func share(_ bound: Int, isShared: Bool) -> Int32 {
        Int32(clamping: isShared ? bound : Limits.part(of: bound, core: seat.index, of: seat.count))
    }

    /// Sets a version's bounds. What this core holds of it goes onto the board, or comes off, with the way
    /// of counting.
    private func count(inFlight: Int, waiting: Int, _ slot: Slot<VersionState>) {
        let state = versions.pointer(slot)
        let sharesPlaces = isShared(inFlight)
        if sharesPlaces != state.pointee.sharesPlaces {
            let held = Int(state.pointee.inFlight + state.pointee.called)
            seat.board.words.places.move(slot, by: sharesPlaces ? held : -held)
            state.pointee.sharesPlaces = sharesPlaces
        }
        // Where places are shared nobody overtakes the requests in line on another core.
        let sharesLine = sharesPlaces || isShared(waiting)
        if sharesLine != state.pointee.sharesLine {
            let held = Int(state.pointee.waiting)
            seat.board.words.places.moveWaiting(slot, by: sharesLine ? held : -held)
            state.pointee.sharesLine = sharesLine
        }
        state.pointee.inFlightMax = share(inFlight, isShared: sharesPlaces)
        state.pointee.waitingMax = share(waiting, isShared: sharesLine)
        publishFirst(slot)
    }

    /// As above for a model's copies.
    private func count(copies: Int, _ slot: Slot<ModelState>) {
        let state = models.pointer(slot)
        let shares = isShared(copies)
        if shares != state.pointee.sharesCopies {
            let held = Int(state.pointee.shadowInFlight)
            seat.board.words.places.moveCopies(slot, by: shares ? held : -held)
            state.pointee.sharesCopies = shares
        }
        state.pointee.shadowInFlightMax = share(copies, isShared: shares)
    }

    /// Closes idle connections to endpoints that the plan no longer names.
    private func closeForgotten() {
        for slot in endpoints.slots where !endpoints[slot].isPlanned {
            while endpoints[slot].pool.newest != .none {
                closeIdle(endpoints[slot].pool.newest)
            }
            while endpoints[slot].shadowPool.newest != .none {
                closeIdle(endpoints[slot].shadowPool.newest)
            }
        }
    }

    /// Leaves everything behind; descriptors close with their slots.
    func close() {
        listeners.close()
    }
}
