// Which endpoint of a version serves: power of two choices on requests in flight (Mitzenmacher 2001) among
// the usable ones, and an order for the last resort. Usable: passes its active checks, if it has any, and is
// not ejected by real requests.
//
// Ejection never takes a version's last usable endpoint, for stable and candidate alike: otherwise the one
// would be asked although ejected, because its users have nowhere else to go, and the other would not, and
// the two could not be compared. An ejection ends with its time, with a check that the endpoint passes, or
// with an answer to a request that was sent meanwhile, as the last resort.
// Invariant: nothing here depends on whether the version is stable, but `insists`.

import Metrics
import Platform
import Synchronization

extension Core {
    /// Two random endpoints, the less loaded usable one; a usable third when neither is; then the last
    /// resort.
    ///
    /// - Parameters:
    ///   - exchange: whose last attempt, if it had one, says what to avoid.
    ///   - insists: the version has nobody to fall back to: an endpoint that fails its checks, or has passed
    ///     none yet, rather than none.
    func pickEndpoint(
        _ version: UnsafeMutablePointer<VersionState>, after exchange: UnsafeMutablePointer<Exchange>?,
        insists: Bool
    ) -> Slot<EndpointState> {
        guard let slots = version.pointee.endpoints else { return .none }
        let count = version.pointee.endpointCount
        // It may have been ejected while there was another.
        if count == 1 { return insists || standing(slots[0]) == .passing ? slots[0] : .none }
        let last = exchange?.pointee.endpoint ?? .none
        let word = random.next()
        let i = Int(((word & 0xFFFF_FFFF) &* UInt64(count)) >> 32)
        var j = Int(((word >> 32) &* UInt64(count - 1)) >> 32)
        if j >= i { j += 1 }
        let a = slots[i]
        let b = slots[j]
        let hasA = isUsable(a) && a != last
        let hasB = isUsable(b) && b != last
        if hasA, hasB { return load(a, version) <= load(b, version) ? a : b }
        if hasA { return a }
        if hasB { return b }
        for step in 1..<count {
            let other = slots[(i + step) % count]
            if isUsable(other), other != last { return other }
        }
        return lastResort(version, from: i, after: exchange, insists: insists)
    }

    /// Of endpoints none of which is usable and untried, in this order: one that has not just failed to
    /// connect, one that passes its checks, one that was not just tried, the one whose ejection ends first,
    /// the least loaded.
    private func lastResort(
        _ version: UnsafeMutablePointer<VersionState>, from start: Int,
        after exchange: UnsafeMutablePointer<Exchange>?, insists: Bool
    ) -> Slot<EndpointState> {
        guard let slots = version.pointee.endpoints else { return .none }
        let count = version.pointee.endpointCount
        let last = exchange?.pointee.endpoint ?? .none
        let isUnreachable = exchange?.pointee.hasConnectFailed ?? false
        var best = Slot<EndpointState>.none
        var bestRank: (UInt64, UInt64, UInt64, UInt64, UInt64) = (.max, .max, .max, .max, .max)
        for step in 0..<count {
            let slot = slots[(start + step) % count]
            let health = standing(slot)
            guard health == .passing || insists else { continue }
            let rank = (
                UInt64(slot == last && isUnreachable ? 1 : 0), UInt64(health.rawValue),
                UInt64(slot == last ? 1 : 0), max(endpoints[slot].ejectedUntil, now).nanos,
                load(slot, version)
            )
            guard rank < bestRank else { continue }
            best = slot
            bestRank = rank
        }
        return best
    }

    /// What active checks say of an endpoint, best first.
    enum Standing: UInt8 {
        /// Passes them, or has none.
        case passing
        /// Has passed none yet.
        case unchecked
        case failing
    }

    /// What active checks say of the endpoint now.
    func standing(_ slot: Slot<EndpointState>) -> Standing {
        standing(slot, HealthWord(bits: seat.board.words.health[slot.row].load(ordering: .relaxed)))
    }

    @inline(__always)
    private func standing(_ slot: Slot<EndpointState>, _ word: HealthWord) -> Standing {
        if word.isUnknown { return endpoints[slot].isChecked ? .unchecked : .passing }
        return word.isFailing ? .failing : .passing
    }

    /// Passes its active checks and is not ejected by real requests.
    func isUsable(_ slot: Slot<EndpointState>) -> Bool {
        let endpoint = endpoints.pointer(slot)
        let word = HealthWord(bits: seat.board.words.health[slot.row].load(ordering: .relaxed))
        let isHealthy = standing(slot, word) == .passing
        if isHealthy != endpoint.pointee.wasHealthy {
            endpoint.pointee.wasHealthy = isHealthy
            if isHealthy { endpoint.pointee.returnedAt = now }
        }
        guard isHealthy, endpoint.pointee.ejectedUntil > now else { return isHealthy }
        // A check that it has passed since says more than the failures before it.
        guard word.passes != endpoint.pointee.passesAtEjection else { return false }
        endpoint.pointee.readmit(at: now)
        return true
    }

    /// Whether the version waits for a first passed check.
    func isUnchecked(_ version: UnsafeMutablePointer<VersionState>) -> Bool {
        guard let slots = version.pointee.endpoints else { return false }
        for i in 0..<version.pointee.endpointCount where standing(slots[i]) == .unchecked { return true }
        return false
    }

    /// Requests in flight, weighed up while the endpoint is new or back: at first a tenth of its share.
    private func load(_ slot: Slot<EndpointState>, _ version: UnsafeMutablePointer<VersionState>) -> UInt64 {
        let endpoint = endpoints.pointer(slot)
        let load = UInt64(endpoint.pointee.inFlight + 1) * 1_000
        let ramp = version.pointee.slowStart
        guard ramp > .zero else { return load }
        let age = now - endpoint.pointee.returnedAt
        guard age < ramp else { return load }
        let share = max(100, age.micros * 1_000 / max(1, ramp.micros))
        return load * 1_000 / share
    }

    /// What an attempt says of its endpoint: failures in a row eject it for a while, an answer to a request
    /// that was sent after the ejection ends it.
    func judge(_ x: Slot<Exchange>, isFailure: Bool) {
        let exchange = exchanges.pointer(x)
        let slot = exchange.pointee.endpoint
        let endpoint = endpoints.pointer(slot)
        guard isFailure else {
            endpoint.pointee.failuresInRow = 0
            endpoint.pointee.hasFailedLast = false
            endpoint.pointee.isSick = false
            if endpoint.pointee.ejectedUntil > now, exchange.pointee.sentAt != .never,
                exchange.pointee.sentAt > endpoint.pointee.ejectedAt
            {
                endpoint.pointee.readmit(at: now)
            }
            return
        }
        endpoint.pointee.hasFailedLast = true
        if endpoint.pointee.failuresInRow < Int32.max { endpoint.pointee.failuresInRow += 1 }
        guard endpoint.pointee.version != .none else { return }
        let version = versions.pointer(endpoint.pointee.version)
        let plan = version.pointee.ejection
        guard plan.consecutiveFailures > 0, endpoint.pointee.failuresInRow >= Int32(plan.consecutiveFailures),
            hasAnotherUsable(version, than: slot)
        else { return }
        let word = HealthWord(bits: seat.board.words.health[slot.row].load(ordering: .relaxed))
        endpoint.pointee.eject(plan, at: now, passes: word.passes)
        meter.count(.ejections)
    }

    /// Whether the version has a usable endpoint beside this one whose last attempt did not fail.
    func isAnswering(_ version: UnsafeMutablePointer<VersionState>, besides slot: Slot<EndpointState>) -> Bool
    {
        guard let slots = version.pointee.endpoints else { return false }
        for i in 0..<version.pointee.endpointCount
        where slots[i] != slot && !endpoints[slots[i]].hasFailedLast && isUsable(slots[i]) {
            return true
        }
        return false
    }

    /// Whether an attempt at an endpoint that has just failed would say nothing of its version: another one
    /// of the version answers, a version that it is compared with has such an endpoint too, and one of the
    /// two was ejected and has not answered since. Ejection then decides how many of either's requests
    /// fail, and takes as many failures of each, whatever its share. Asked before the attempt, so that its
    /// outcome has no part in it.
    @inline(never)
    func isSickInBothArms(_ x: Slot<Exchange>, _ slot: Slot<EndpointState>) -> Bool {
        let exchange = exchanges.pointer(x)
        let serving = exchange.pointee.serving
        let model = models.pointer(exchange.pointee.model)
        guard versions[serving].ejection.consecutiveFailures > 0,
            isAnswering(versions.pointer(serving), besides: slot)
        else { return false }
        let isSick = endpoints[slot].isSick
        if serving != model.pointee.stable {
            return model.pointee.stable != .none && hasFailing(model.pointee.stable, isEnough: isSick)
        }
        guard let others = model.pointee.versions else { return false }
        for i in 0..<model.pointee.versionCount
        where others[i] != serving && versions[others[i]].weightPPM > 0
            && hasFailing(others[i], isEnough: isSick)
        {
            return true
        }
        return false
    }

    /// Whether ejection looks after an endpoint of the version that is sick, or whose last request failed
    /// where that is enough.
    private func hasFailing(_ slot: Slot<VersionState>, isEnough: Bool) -> Bool {
        let version = versions.pointer(slot)
        guard version.pointee.ejection.consecutiveFailures > 0, let slots = version.pointee.endpoints else {
            return false
        }
        for i in 0..<version.pointee.endpointCount {
            let endpoint = endpoints.pointer(slots[i])
            if endpoint.pointee.isSick || isEnough && endpoint.pointee.hasFailedLast { return true }
        }
        return false
    }

    private func hasAnotherUsable(
        _ version: UnsafeMutablePointer<VersionState>, than slot: Slot<EndpointState>
    ) -> Bool {
        guard let slots = version.pointee.endpoints else { return false }
        for i in 0..<version.pointee.endpointCount where slots[i] != slot && isUsable(slots[i]) {
            return true
        }
        return false
    }
}
