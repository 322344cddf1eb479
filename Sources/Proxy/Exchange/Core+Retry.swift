// Failed attempts. Before the client has a byte of the response there is still a choice: what found nobody at
// its endpoint goes to another endpoint of its version, a candidate's failure is shielded (sent again to
// stable, counted against the candidate all the same), a safe request is tried again on its version, and the
// rest gets a local reply. After that byte there is none: the client's stream is aborted, so that nobody
// takes half a response for a whole one. Safe: nothing was sent, the method is idempotent, the request says
// so (idempotency-key) or the model's config does.
// Invariant: the first attempt that reached its endpoint settles the evidence, whatever is done next. One
// that found nobody while another endpoint of the version answers says nothing if it is sent to another
// one, or if the endpoint is about to be ejected for it: an ejection takes so many failures whatever the
// version's share of the traffic, so of two versions with a dead replica each the smaller one would look
// worse. A version that is dead, or leaves a dead replica in service, is seen.
// Source: RFC 9110 section 9.2.2.

import Metrics
import Platform
import Wire

extension Core {
    /// The current attempt failed.
    func attemptFailed(_ x: Slot<Exchange>, _ outcome: Outcome) {
        let exchange = exchanges.pointer(x)
        exchange.pointee.hasConnectFailed = outcome == .connectFailure || outcome == .timeoutConnect
        if outcome != .upstreamError, outcome != .localRefusal { judge(x, isFailure: true) }
        if exchange.pointee.stage == .responding {
            abort(x, midStream(outcome))
            return
        }
        if exchange.pointee.stage == .tunnel {
            abort(x, .cutMidStream)
            return
        }
        // What came of a response that did not begin was no first byte.
        exchange.pointee.firstByteAt = .never
        let isReplicaOnly = exchange.pointee.hasConnectFailed && isReplicaOnly(x)
        let isElsewhere = isReplicaOnly && canGoElsewhere(x)
        let shields = !isElsewhere && canShield(x)
        let retries = isElsewhere || !shields && canRetry(x, outcome)
        if isReplicaOnly, !isElsewhere, ejects(x) { settleEvidence(x, outcome, isTelling: false) }
        releaseUpstream(x, isReusable: false)
        if shields {
            settle(x, outcome)
            if exchange.pointee.isTapped { tapFailure(x) }
            link.meter(exchange.pointee.assigned.row).countShielded()
            exchange.pointee.serving = models[exchange.pointee.model].stable
            exchange.pointee.isShielded = true
            exchange.pointee.endpoint = .none
            sendAgain(x)
        } else if retries {
            if isElsewhere { awaitWrite(x) } else { settleEvidence(x, outcome) }
            link.meter(exchange.pointee.serving.row).countRetry()
            sendAgain(x)
        } else {
            giveUp(x, outcome)
        }
    }

    /// What a failure inside a response counts as.
    private func midStream(_ outcome: Outcome) -> Outcome {
        switch outcome {
        case .timeoutIdle, .protocolError, .responseHeadTooLarge, .localRefusal: outcome
        default: .cutMidStream
        }
    }

    private func sendAgain(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        let model = models.pointer(exchange.pointee.model)
        if exchange.pointee.hasSent { model.pointee.retryTokens -= 1_000_000 }
        exchange.pointee.hasSent = false
        exchange.pointee.stage = .queued
        exchange.pointee.interimHeads = 0
        exchange.pointee.sentAt = .never
        resume(exchangeToken(x))
    }

    /// Whether a failure now can be hidden from the client by sending the request to stable.
    func canShield(_ x: Slot<Exchange>) -> Bool {
        let exchange = exchanges.pointer(x)
        let model = models.pointer(exchange.pointee.model)
        return model.pointee.shields && model.pointee.stable != .none
            && exchange.pointee.serving != model.pointee.stable && exchange.pointee.stage == .forwarding
            && isRepeatable(exchange) && isAffordable(exchange, model)
    }

    /// Whether the request found nobody at its endpoint while another one of its version answers.
    private func isReplicaOnly(_ x: Slot<Exchange>) -> Bool {
        let exchange = exchanges.pointer(x)
        return exchange.pointee.stage == .forwarding && !exchange.pointee.hasSent
            && isAnswering(versions.pointer(exchange.pointee.serving), besides: exchange.pointee.endpoint)
    }

    /// Whether such a request can go to another endpoint: before it is shielded, so that stable and a
    /// candidate are asked alike.
    private func canGoElsewhere(_ x: Slot<Exchange>) -> Bool {
        let exchange = exchanges.pointer(x)
        let attemptsMax = models[exchange.pointee.model].retries.attemptsMax
        return Int(exchange.pointee.attempts) <= attemptsMax && isRepeatable(exchange)
    }

    /// Whether failures in a row eject the endpoint.
    private func ejects(_ x: Slot<Exchange>) -> Bool {
        versions[exchanges[x].serving].ejection.consecutiveFailures > 0
    }

    /// Whether the model's budget has room for a repeat. One of which nothing was sent adds no load anywhere
    /// and needs none.
    private func isAffordable(
        _ exchange: UnsafeMutablePointer<Exchange>, _ model: UnsafeMutablePointer<ModelState>
    ) -> Bool {
        !exchange.pointee.hasSent || model.pointee.retryTokens >= 1_000_000
    }

    /// Whether a failure of the attempt under way could ask for the request's bytes, as far as is known now.
    /// Most requests need no second copy: stable has no one to be shielded by, and a POST that the kernel
    /// has taken is not repeated.
    func mayBeSentAgain(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        // A failure of a tapped exchange is copied from here.
        if exchange.pointee.isTapped, exchange.pointee.tap == noTap { return true }
        let model = models.pointer(exchange.pointee.model)
        if exchange.pointee.serving != model.pointee.stable, model.pointee.shields { return true }
        return isSafe(exchange, model)
            && Int(exchange.pointee.attempts) <= model.pointee.retries.attemptsMax
    }

    private func isSafe(
        _ exchange: UnsafeMutablePointer<Exchange>, _ model: UnsafeMutablePointer<ModelState>
    ) -> Bool {
        !exchange.pointee.hasSent || exchange.pointee.method.isIdempotent
            || exchange.pointee.hasIdempotencyKey || model.pointee.retries.nonIdempotent
    }

    private func canRetry(_ x: Slot<Exchange>, _ outcome: Outcome) -> Bool {
        let exchange = exchanges.pointer(x)
        let model = models.pointer(exchange.pointee.model)
        switch outcome {
        case .connectFailure, .reset, .timeoutConnect: break
        default: return false
        }
        // A candidate that stable does not shield is tried again as stable is.
        return isSafe(exchange, model)
            && Int(exchange.pointee.attempts) <= model.pointee.retries.attemptsMax
            && isRepeatable(exchange) && isAffordable(exchange, model)
    }

    /// Whether all that has been read of the request is still at hand: in `replay`, or unread as input.
    private func isRepeatable(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        exchange.pointee.isHeld || exchange.pointee.isReplayable && !exchange.pointee.replay.isEmpty
    }

    private func giveUp(_ x: Slot<Exchange>, _ outcome: Outcome) {
        switch outcome {
        case .timeoutConnect:
            replyLocally(x, .connectTimeout, outcome: outcome)
        case .timeoutFirstByte:
            replyLocally(x, .firstByteTimeout, outcome: outcome)
        case .timeoutIdle:
            replyLocally(x, .idleTimeout, outcome: outcome)
        case .connectFailure:
            replyLocally(x, .connectFailed, outcome: outcome)
        case .protocolError:
            replyLocally(x, .upstreamProtocolError, outcome: outcome)
        case .responseHeadTooLarge:
            replyLocally(x, .responseHeadTooLarge, outcome: outcome)
        case .localRefusal:
            replyLocally(x, .buffersExhausted, outcome: outcome)
        default:
            replyLocally(x, .upstreamReset, outcome: outcome)
        }
    }

    /// Ends an exchange whose client already has part of the response.
    private func abort(_ x: Slot<Exchange>, _ outcome: Outcome) {
        let exchange = exchanges.pointer(x)
        let slot = exchange.pointee.downstream
        // A reset, not a FIN: a body that is delimited by the close must not look whole.
        downstreams[slot].descriptor.resetOnClose()
        exchange.pointee.outcome = exchange.pointee.isSettled ? exchange.pointee.outcome : outcome
        end(x)
        closeDownstream(slot)
    }

    /// Ends an exchange whose client is gone, or is to be cut off.
    func cancel(_ x: Slot<Exchange>, _ outcome: Outcome) {
        let exchange = exchanges.pointer(x)
        let slot = exchange.pointee.downstream
        // A failure seen before stays; a client that leaves afterwards does not excuse it.
        let isKnown = exchange.pointee.isSettled || exchange.pointee.outcome.isFailure
        if !isKnown { exchange.pointee.outcome = outcome }
        // What went out so far must not look whole to a client that is still there.
        if exchange.pointee.stage == .responding {
            downstreams[slot].descriptor.resetOnClose()
        }
        leaveLine(x)
        giveUpCall(x)
        end(x)
        closeDownstream(slot)
    }

    /// Adds this request's share to its model's retry budget.
    func refillRetries(_ model: UnsafeMutablePointer<ModelState>) {
        let since = now - model.pointee.refilledAt
        if model.pointee.refilledAt == .never || since >= .seconds(1) {
            model.pointee.retryTokens += 3_000_000
            model.pointee.refilledAt = now
        }
        let tokens = model.pointee.retryTokens + Int64(model.pointee.retries.budgetPPM)
        model.pointee.retryTokens = min(tokens, ModelState.retryTokensMax)
    }
}
