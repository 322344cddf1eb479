// Which version and which connection carry a request: place it, wait for a place, fall back to stable, take
// an idle connection or open one, and send. The endpoint is chosen in `Core+Endpoints.swift`.
//
// Stable and a candidate are served differently where users are protected, and measured alike all the same:
//
//   what differs                                 why no rule compares it
//   a candidate that cannot serve falls back,    what is not sent is no evidence in either arm; a tick of
//   stable queues, refuses, or asks endpoints    which one arm lost much for want of an endpoint is void,
//   that fail their checks                       waiting is unwritten, and latency counts from the write
//   a candidate's failure is shielded, stable's  the first attempt has settled the evidence by then
//   is tried again or answered
//   a sick replica is ejected after so many       what is sent to it is no evidence while the other
//   failures, whatever the version's share       version has one as well and healthy ones answer
//   versions at weight 0 stay connected, idle    opening a connection is before the write; a connection
//   ones age out, the rarer the sooner           that carried a 5xx closes in either arm
//
// Invariant: an exchange counts in its serving version's and endpoint's requests in flight exactly while
// `isInFlight` is set.

import Metrics
import Platform
import Synchronization
import Wire

/// Where a request can go now.
private enum Placement {
    case endpoint(Slot<EndpointState>)
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
    func dispatch(_ x: Slot<Exchange>, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer, isReplay: Bool) {
        let exchange = exchanges.pointer(x)
        switch place(x) {
        case .refuse(let reply):
            if !isReplay { hold(x, head, bytes) }
            refuseUnsent(x, reply, reply == .overloaded ? .overloaded : .noEndpoint)
        case .wait:
            guard isReplay || hold(x, head, bytes) else {
                giveUpWaiting(exchange.pointee.serving)
                refuseUnsent(x, .buffersExhausted, .localRefusal)
                return
            }
            joinLine(x)
            awaitWrite(x)
        case .endpoint(let endpoint):
            enter(x, endpoint)
            exchange.pointee.stage = .forwarding
            let slot: Slot<Upstream>
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
                refuseUnsent(x, .upstreamsExhausted, .localRefusal)
                return
            }
            let u = upstreams.pointer(slot)
            u.pointee.exchange = x
            exchange.pointee.upstream = slot
            if u.pointee.phase == .connecting {
                awaitWrite(x)
            } else if exchange.pointee.isUnwritten {
                endWait(exchange)
            }
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

    /// Ends an exchange that was not sent with a reply of our own.
    func refuseUnsent(_ x: Slot<Exchange>, _ reply: LocalReply, _ outcome: Outcome) {
        settleUnsent(x, outcome, isOverloaded: outcome != .noEndpoint)
        replyLocally(x, reply, outcome: outcome)
    }

    /// Keeps what has been read of a request that cannot be sent now, as input not yet taken; false when
    /// there are no buffers for it, and then the connection cannot go on after the reply.
    @discardableResult
    private func hold(_ x: Slot<Exchange>, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer) -> Bool {
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
    private func place(_ x: Slot<Exchange>) -> Placement {
        let exchange = exchanges.pointer(x)
        let stable = models[exchange.pointee.model].stable
        if exchange.pointee.serving != stable {
            let version = versions.pointer(exchange.pointee.serving)
            let endpoint = pickEndpoint(version, after: exchange, insists: false)
            if endpoint != .none, answerCall(x) || takePlace(exchange.pointee.serving) {
                return .endpoint(endpoint)
            }
            giveUpCall(x)
            // The users of a version that cannot serve are served by stable. What was not sent says nothing
            // about the version's answers; that it cannot be reached is the health rule's matter.
            settleUnsent(x, endpoint == .none ? .noEndpoint : .overloaded, isOverloaded: endpoint != .none)
            link.meter(exchange.pointee.assigned.row).countFallback(
                endpoint == .none ? .noEndpoint : .overloaded)
            exchange.pointee.serving = stable
            exchange.pointee.reason = .fallback
        }
        guard stable != .none else { return .refuse(.noVersion) }
        let version = versions.pointer(stable)
        // Nobody overtakes those who stand in line.
        let isPlaced = answerCall(x) || !hasLine(stable) && takePlace(stable)
        guard isPlaced else { return takeWaiting(stable) ? .wait : .refuse(.overloaded) }
        let endpoint = pickEndpoint(version, after: exchange, insists: true)
        guard endpoint == .none else { return .endpoint(endpoint) }
        freePlace(stable)
        return .refuse(.noEndpoint)
    }

    /// The place was taken before.
    private func enter(_ x: Slot<Exchange>, _ endpoint: Slot<EndpointState>) {
        let exchange = exchanges.pointer(x)
        exchange.pointee.endpoint = endpoint
        exchange.pointee.isInFlight = true
        exchange.pointee.hasSent = false
        exchange.pointee.attempts &+= 1
        exchange.pointee.saysNothing =
            endpoints[endpoint].hasFailedLast && isSickInBothArms(x, endpoint)
        endpoints[endpoint].inFlight += 1
        versions[exchange.pointee.serving].inFlight += 1
    }

    /// Takes the exchange out of the requests in flight and lets the next one in line go.
    func leave(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        guard exchange.pointee.isInFlight else { return }
        exchange.pointee.isInFlight = false
        endpoints[exchange.pointee.endpoint].inFlight -= 1
        let version = versions.pointer(exchange.pointee.serving)
        version.pointee.inFlight -= 1
        if version.pointee.sharesPlaces || version.pointee.waiting > 0 {
            freePlace(exchange.pointee.serving)
        }
    }

    func exchangeToken(_ slot: Slot<Exchange>) -> Token {
        Token(kind: TokenKind.exchange, generation: exchanges.generation(slot), slot: slot.index)
    }
}
