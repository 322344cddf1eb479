// Which endpoint and which connection carry a request: place it, wait for a place, fall back to stable, take
// an idle connection or open one, and send. The choice is power of two choices on requests in flight
// (Mitzenmacher 2001): two random endpoints, the less loaded one serves.
// Invariant: an exchange counts in its serving version's and endpoint's requests in flight exactly while
// `isInFlight` is set.

import Metrics
import Platform
import Synchronization
import Wire

/// Where a request can go now.
private enum Placement {
    case endpoint(UInt32)
    case wait
    case refuse(LocalReply)
}

extension Core {
    /// Sends a request on, for the first time or again.
    ///
    /// - Parameters:
    ///   - head: parsed from `bytes`; its fields are in `requestParser`.
    ///   - bytes: in the inbox: the head, what came of the body, and perhaps the next requests.
    ///   - isReplay: the bytes come from `replay` and were recorded and counted before.
    func dispatch(_ x: UInt32, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer, isReplay: Bool) {
        let exchange = exchanges.pointer(x)
        switch place(x) {
        case .refuse(let reply):
            if !isReplay { hold(x, head, bytes) }
            replyLocally(x, reply, outcome: .localRefusal)
        case .wait:
            guard isReplay || hold(x, head, bytes) else {
                giveUpWaiting(exchange.pointee.serving)
                replyLocally(x, .buffersExhausted, outcome: .localRefusal)
                return
            }
            joinLine(x)
        case .endpoint(let endpoint):
            enter(x, endpoint)
            exchange.pointee.stage = .forwarding
            let slot: UInt32
            switch connection(to: endpoint, isShadow: false) {
            case .open(let found):
                slot = found
            case .refused:
                if !isReplay { hold(x, head, bytes) }
                attemptFailed(x, .connectFailure)
                return
            case .exhausted:
                if !isReplay { hold(x, head, bytes) }
                releaseUpstream(x, isReusable: false)
                replyLocally(x, .upstreamsExhausted, outcome: .localRefusal)
                return
            }
            let u = upstreams.pointer(slot)
            u.pointee.exchange = x
            exchange.pointee.upstream = slot
            exchange.pointee.hasSent = false
            guard let count = composeRequest(x, head, bytes, version: exchange.pointee.serving) else {
                if !isReplay { hold(x, head, bytes) }
                releaseUpstream(x, isReusable: false)
                replyLocally(x, .headTooLarge, outcome: .localRefusal)
                return
            }
            if !isReplay {
                startShadow(x, head, bytes)
                if exchange.pointee.isTapped { startTap(x, head, bytes) }
            }
            relayRequest(x, head: count, bytes, from: head.byteCount, isReplay: isReplay)
        }
    }

    /// Keeps what has been read of a request that cannot be sent now, as input not yet taken; false when
    /// there are no buffers for it, and then the connection cannot go on after the reply.
    @discardableResult
    private func hold(_ x: UInt32, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer) -> Bool {
        let exchange = exchanges.pointer(x)
        let d = downstreams.pointer(exchange.pointee.downstream)
        exchange.pointee.headCount = UInt32(head.byteCount)
        exchange.pointee.isHeld = canKeepRequests && d.pointee.input.append(bytes, &pool)
        if !exchange.pointee.isHeld {
            exchange.pointee.keepsAlive = false
            d.pointee.lingers = true
        }
        return exchange.pointee.isHeld
    }

    /// Decides where a request goes. With an endpoint it has a place in flight, and with a wait one in line.
    private func place(_ x: UInt32) -> Placement {
        let exchange = exchanges.pointer(x)
        let stable = models[exchange.pointee.model].pointee.stable
        if exchange.pointee.serving != stable {
            let version = versions[exchange.pointee.serving]
            let endpoint = pickEndpoint(version, avoiding: noSlot, insists: false)
            if endpoint != noSlot, answerCall(x) || takePlace(exchange.pointee.serving) {
                return .endpoint(endpoint)
            }
            giveUpCall(x)
            // The users of a version that cannot serve are served by stable; the failure stays the version's.
            settle(x, endpoint == noSlot ? .connectFailure : .localRefusal)
            if exchange.pointee.isTapped, endpoint == noSlot { tapFailure(x) }
            link.meter(Int(exchange.pointee.assigned)).countFallback(
                endpoint == noSlot ? .noEndpoint : .overloaded)
            exchange.pointee.serving = stable
            exchange.pointee.reason = .fallback
        }
        guard stable != noSlot else { return .refuse(.noVersion) }
        let version = versions[stable]
        // Nobody overtakes those who stand in line.
        let isPlaced = answerCall(x) || !hasLine(stable) && takePlace(stable)
        guard isPlaced else { return takeWaiting(stable) ? .wait : .refuse(.overloaded) }
        let endpoint = pickEndpoint(version, avoiding: exchange.pointee.endpoint, insists: true)
        guard endpoint == noSlot else { return .endpoint(endpoint) }
        freePlace(stable)
        return .refuse(.noEndpoint)
    }

    /// The place was taken before.
    private func enter(_ x: UInt32, _ endpoint: UInt32) {
        let exchange = exchanges.pointer(x)
        exchange.pointee.endpoint = endpoint
        exchange.pointee.isInFlight = true
        exchange.pointee.attempts &+= 1
        endpoints[endpoint].pointee.inFlight += 1
        versions[exchange.pointee.serving].pointee.inFlight += 1
    }

    /// Takes the exchange out of the requests in flight and lets the next one in line go.
    func leave(_ x: UInt32) {
        let exchange = exchanges.pointer(x)
        guard exchange.pointee.isInFlight else { return }
        exchange.pointee.isInFlight = false
        endpoints[exchange.pointee.endpoint].pointee.inFlight -= 1
        let version = versions[exchange.pointee.serving]
        version.pointee.inFlight -= 1
        if version.pointee.sharesPlaces || version.pointee.waiting > 0 {
            freePlace(exchange.pointee.serving)
        }
    }

    func exchangeToken(_ slot: UInt32) -> Token {
        Token(kind: TokenKind.exchange, generation: exchanges.generation(slot), slot: slot)
    }

    // MARK: - Endpoints

    /// Two random endpoints, the less loaded usable one; a usable third when neither is; and where the
    /// version has nobody to fall back to (`insists`), an ejected one rather than none.
    func pickEndpoint(
        _ version: UnsafeMutablePointer<VersionState>, avoiding last: UInt32, insists: Bool
    ) -> UInt32 {
        guard let slots = version.pointee.endpoints else { return noSlot }
        let count = version.pointee.endpointCount
        if count == 1 { return insists || isUsable(slots[0]) ? slots[0] : noSlot }
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
        if isUsable(a) { return a }
        return insists ? a : noSlot
    }

    /// Healthy by the active checks and not ejected by real requests.
    func isUsable(_ slot: UInt32) -> Bool {
        let endpoint = endpoints[slot]
        let isHealthy = seat.board.words.health[Int(slot)].load(ordering: .relaxed) == 0
        if isHealthy != endpoint.pointee.wasHealthy {
            endpoint.pointee.wasHealthy = isHealthy
            if isHealthy { endpoint.pointee.returnedAt = now }
        }
        return isHealthy && endpoint.pointee.ejectedUntil <= now
    }

    /// Requests in flight, weighed up while the endpoint is new or back: at first a tenth of its share.
    private func load(_ slot: UInt32, _ version: UnsafeMutablePointer<VersionState>) -> UInt64 {
        let endpoint = endpoints[slot]
        let load = UInt64(endpoint.pointee.inFlight + 1) * 1_000
        let ramp = version.pointee.slowStart
        guard ramp > .zero else { return load }
        let age = now - endpoint.pointee.returnedAt
        guard age < ramp else { return load }
        let share = max(100, age.micros * 1_000 / max(1, ramp.micros))
        return load * 1_000 / share
    }

    /// What a real request says of its endpoint: failures in a row eject it for a while.
    func judge(_ slot: UInt32, isFailure: Bool) {
        let endpoint = endpoints[slot]
        guard isFailure else {
            endpoint.pointee.failuresInRow = 0
            return
        }
        endpoint.pointee.failuresInRow += 1
        guard endpoint.pointee.version != noSlot else { return }
        let plan = versions[endpoint.pointee.version].pointee.ejection
        guard plan.consecutiveFailures > 0, endpoint.pointee.failuresInRow >= Int32(plan.consecutiveFailures)
        else { return }
        endpoint.pointee.eject(plan, at: now)
        meter.count(.ejections)
    }
}
