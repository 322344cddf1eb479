// The end of an exchange: its outcome settled with the version it was assigned to, its times in the
// histograms, its line in the access log, its slots free, and the client's connection ready for what follows.
// Counts belong to the assigned version, whoever answered (design: intention to treat).

import Metrics
import Platform
import Wire

extension Core {
    /// The request has its version: it counts from now on, also while it hangs.
    func startEvidence(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        link.meter(exchange.pointee.assigned.row).start(
            tick: exchange.pointee.startTick, weightPPM: exchange.pointee.weightPPM,
            isPinned: exchange.pointee.isPinned)
        if exchange.pointee.keyHash != 0, models[exchange.pointee.model].keyRound != 0 {
            link.meter(exchange.pointee.assigned.row).keys.add(exchange.pointee.keyHash)
        }
        meter.count(.requests)
    }

    /// The response goes on after its first bytes: a long stream, which at the deadline is good so far. What
    /// stable answers in the version's place says nothing about it.
    func beginEvidence(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard !exchange.pointee.hasEvidence, exchange.pointee.serving == exchange.pointee.assigned else {
            return
        }
        exchange.pointee.isBegun = true
        link.meter(exchange.pointee.assigned.row).evidence.begin(
            start: exchange.pointee.startTick, isPinned: exchange.pointee.isPinned)
    }

    /// The request waits, in line or for a connection to open: until it is written its version has been
    /// neither fast nor slow with it.
    func awaitWrite(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        guard !exchange.pointee.hasEvidence, !exchange.pointee.isUnwritten else { return }
        exchange.pointee.isUnwritten = true
        let evidence = link.meter(exchange.pointee.assigned.row).evidence
        evidence.wait(start: exchange.pointee.startTick, isPinned: exchange.pointee.isPinned)
        if exchange.pointee.pair != .none {
            evidence.waitCopied(start: Tick(monotonicNanos: exchange.pointee.pairedAt.nanos))
        }
    }

    /// A request that waited has a connected socket now, or comes to its end without one.
    func endWait(_ exchange: UnsafeMutablePointer<Exchange>) {
        exchange.pointee.isUnwritten = false
        exchange.pointee.writtenAt = now
        let evidence = link.meter(exchange.pointee.assigned.row).evidence
        evidence.endWait(start: exchange.pointee.startTick, isPinned: exchange.pointee.isPinned)
        if exchange.pointee.pair != .none {
            evidence.endWaitCopied(start: Tick(monotonicNanos: exchange.pointee.pairedAt.nanos))
        }
    }

    /// Charges the assigned version with an outcome, once: the user's, and the evidence's unless that was
    /// settled with an earlier attempt.
    func settle(_ x: Slot<Exchange>, _ outcome: Outcome) {
        let exchange = exchanges.pointer(x)
        guard !exchange.pointee.isSettled else { return }
        exchange.pointee.isSettled = true
        exchange.pointee.outcome = outcome
        let version = link.meter(exchange.pointee.assigned.row)
        version.count(outcome)
        guard exchange.pointee.hasEvidence else { return settleEvidence(x, outcome) }
        if exchange.pointee.evidence.isFailure, !outcome.isFailure, !outcome.isExcluded {
            version.countMended()
        }
    }

    /// Settles what guardrails compare: the first attempt that was really made, whatever is done for the user
    /// afterwards, and whichever role the version has.
    /// - Parameter isTelling: false where the attempt says nothing of its version.
    func settleEvidence(_ x: Slot<Exchange>, _ outcome: Outcome, isTelling: Bool = true) {
        let exchange = exchanges.pointer(x)
        guard !exchange.pointee.hasEvidence else { return }
        exchange.pointee.hasEvidence = true
        exchange.pointee.evidence = outcome
        var outcome = isTelling ? outcome : .localRefusal
        if exchange.pointee.isUnwritten { endWait(exchange) }
        // Of a pair each side has as many requests as the other, and ejection takes as many of either.
        if exchange.pointee.pair != .none { settlePrimary(x, outcome) }
        if exchange.pointee.saysNothing { outcome = .localRefusal }
        let evidence = link.meter(exchange.pointee.assigned.row).evidence
        let micros = (now - exchange.pointee.writtenAt).micros
        let events = badEvents(exchange, outcome)
        if events == .empty { link.meter(exchange.pointee.assigned.row).countEmpty() }
        let known = knownEvents(exchange, evidence, outcome, events, micros)
        if exchange.pointee.isBegun {
            evidence.endBegun(start: exchange.pointee.startTick, isPinned: exchange.pointee.isPinned)
        }
        evidence.settle(
            start: exchange.pointee.startTick, isPinned: exchange.pointee.isPinned, outcome: outcome,
            events: events, micros: micros, known: known)
    }

    /// What is bad about a request beside its latency: nothing where it was answered with 2xx and a body.
    @inline(__always)
    func badEvents(_ exchange: UnsafeMutablePointer<Exchange>, _ outcome: Outcome) -> KeyEvents {
        // Other statuses wrap around, or are beyond.
        let isWell = outcome == .success && exchange.pointee.status &- 200 < 100
        return isWell && exchange.pointee.bytesOut > 0 ? [] : rareEvents(exchange, outcome)
    }

    /// The same of the others. Local replies have no status when they are settled, and upgrades have 101.
    @inline(never)
    private func rareEvents(
        _ exchange: UnsafeMutablePointer<Exchange>, _ outcome: Outcome
    ) -> KeyEvents {
        switch outcome {
        case .clientCancel:
            // A client that left the waiting line has seen nothing of the version.
            return exchange.pointee.attempts > 0 ? .cancelled : []
        case .success, .clientError:
            let answer = Self.events(
                ofStatus: exchange.pointee.status, method: exchange.pointee.method,
                countsClientErrors: models[exchange.pointee.model].countsClientErrors)
            let isEmpty = outcome == .success && exchange.pointee.bytesOut == 0
            return answer == .empty && !isEmpty ? [] : answer
        default:
            return outcome.isFailure ? .failed : []
        }
    }

    /// What an answer's head says; of a 2xx whether the lack of a body would be an event.
    static func events(
        ofStatus status: UInt16, method: Wire.Method, countsClientErrors: Bool
    ) -> KeyEvents {
        switch status {
        case 200..<300: method == .head || status == 204 || status == 205 ? [] : .empty
        case 400..<500 where countsClientErrors: .failed
        case 300..<500: .rejected
        default: status >= 500 ? .failed : []
        }
    }

    /// The request is not sent to its version: no evidence in a comparison, and counted as such.
    /// - Parameter isOverloaded: rather than without an endpoint.
    func settleUnsent(_ x: Slot<Exchange>, _ outcome: Outcome, isOverloaded: Bool) {
        let exchange = exchanges.pointer(x)
        if !exchange.pointee.hasEvidence {
            link.meter(exchange.pointee.assigned.row).evidence.countUnsent(
                start: exchange.pointee.startTick, isPinned: exchange.pointee.isPinned,
                isOverloaded: isOverloaded)
        }
        settle(x, outcome)
    }

    /// What of this request its sticky key has done before in the rollout: it is no news in a comparison.
    /// While the version has all the weight nothing is compared, and a slow request keeps its news.
    private func knownEvents(
        _ exchange: UnsafeMutablePointer<Exchange>, _ evidence: EvidenceRing, _ outcome: Outcome,
        _ events: KeyEvents, _ micros: UInt64
    ) -> KeyEvents {
        let key = exchange.pointee.keyHash
        guard key != 0, !exchange.pointee.isPinned else { return [] }
        var events = evidence.keyEvents(
            start: exchange.pointee.startTick, outcome: outcome, events: events, micros: micros)
        if exchange.pointee.weightPPM == 1_000_000 { events.formIntersection(.failure) }
        guard !events.isEmpty else { return [] }
        let minute = KeyTable.minute(Tick(monotonicNanos: now.nanos))
        return seat.board.words.keys.note(
            key, events, model: exchange.pointee.model.row, minute: minute)
    }

    /// A response has reached its client whole: the exchange ends, the connection goes on.
    func finish(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        let slot = exchange.pointee.downstream
        let keepsAlive = exchange.pointee.keepsAlive && !isDraining
        readClock()
        end(x)
        let d = downstreams.pointer(slot)
        guard keepsAlive else {
            d.pointee.closesAfterFlush = true
            // The client did not ask for it and may have sent its next request.
            if isDraining { d.pointee.lingers = true }
            shutDownstream(slot)
            return
        }
        armDownstream(slot, now + limits.keepAliveIdle)
        if d.pointee.isReadable || heldCount(d) > 0 { resume(downstreamToken(slot)) }
    }

    /// Counts, logs and frees the exchange, whatever became of it. The client's connection stays, idle.
    func end(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        settle(x, exchange.pointee.outcome)
        releaseUpstream(x, isReusable: false)
        if exchange.pointee.shadow != .none { primaryEnded(exchange.pointee.shadow) }
        if exchange.pointee.isTapped { endTap(x) }
        exchange.pointee.replay.clear(&pool)
        dropPipes(exchange)
        measure(exchange)
        log(exchange, texts + x.row)
        let d = downstreams.pointer(exchange.pointee.downstream)
        d.pointee.exchange = .none
        d.pointee.phase = .idle
        exchanges.remove(x)
    }

    private func measure(_ exchange: UnsafeMutablePointer<Exchange>) {
        let version = link.meter(exchange.pointee.assigned.row)
        if exchange.pointee.status != 0 {
            version.countStatus(exchange.pointee.status)
            meter.count(.responses)
        }
        if exchange.pointee.isShielded { countRescue(exchange, version) }
        version.countBytes(in: exchange.pointee.bytesIn, out: exchange.pointee.bytesOut)
        guard !exchange.pointee.outcome.isExcluded else { return }
        let total = (now - exchange.pointee.startedAt).nanos
        version.record(.total, nanos: total)
        let upstream = exchange.pointee.upstreamNanos
        let isWhole = upstream != .max
        if isWhole { version.record(.added, nanos: total > upstream ? total &- upstream : 0) }
        // What stable did in a candidate's place is no time of the candidate's.
        guard exchange.pointee.serving == exchange.pointee.assigned else { return }
        if isWhole { version.record(.upstream, nanos: upstream) }
        // A response that broke off had its first byte all the same.
        if exchange.pointee.firstByteAt != .never, exchange.pointee.sentAt != .never {
            version.record(.firstByte, nanos: (exchange.pointee.firstByteAt - exchange.pointee.sentAt).nanos)
        }
    }

    /// Counts what stable made of a candidate's failure: it is asked in the same moment, and so says whether
    /// the failure is the candidate's alone. A client that left has heard nothing; of what did not reach
    /// stable, stable says nothing.
    private func countRescue(_ exchange: UnsafeMutablePointer<Exchange>, _ version: VersionMeter) {
        guard exchange.pointee.status != 0 else { return }
        if exchange.pointee.hasSent {
            version.countRescue(exchange.pointee.status < 500)
        } else if exchange.pointee.status >= 500 {
            version.countUnreached()
        }
    }

    /// Failures and what we cut ourselves always enter the access log, the rest by its sampling.
    private func log(
        _ exchange: UnsafeMutablePointer<Exchange>, _ texts: UnsafeMutablePointer<ExchangeTexts>
    ) {
        guard let ppm = plan.accessLogPPM else { return }
        let isNotable =
            exchange.pointee.outcome.isFailure || exchange.pointee.outcome == .drainCut
            || exchange.pointee.evidence.isFailure || exchange.pointee.reason == .fallback
        if !isNotable, ppm < 1_000_000, random.below(1_000_000) >= UInt64(ppm) { return }
        meter.count(
            link.accessLog.offer(accessRecord(exchange, texts)) ? .accessRecords : .accessRecordsDropped)
    }

    /// What the access log knows of an exchange now.
    func accessRecord(
        _ exchange: UnsafeMutablePointer<Exchange>, _ texts: UnsafeMutablePointer<ExchangeTexts>
    ) -> AccessRecord {
        var record = AccessRecord()
        record.wallMicros = Clock.wallMicros()
        record.totalMicros = Self.micros((now - exchange.pointee.startedAt).nanos)
        record.upstreamMicros = Self.micros(exchange.pointee.upstreamNanos)
        if exchange.pointee.firstByteAt != .never, exchange.pointee.sentAt != .never {
            record.firstByteMicros = Self.micros(
                (exchange.pointee.firstByteAt - exchange.pointee.sentAt).nanos)
        }
        record.bytesIn = exchange.pointee.bytesIn
        record.bytesOut = exchange.pointee.bytesOut
        record.client = exchange.pointee.client
        record.model = exchange.pointee.model.index
        record.assigned = exchange.pointee.assigned.index
        record.answered = exchange.pointee.serving.index
        record.status = exchange.pointee.status
        record.core = UInt16(truncatingIfNeeded: seat.index)
        record.attempts = exchange.pointee.attempts
        record.outcome = exchange.pointee.outcome
        record.firstAttempt = exchange.pointee.evidence
        record.reason = exchange.pointee.reason
        record.isShielded = exchange.pointee.isShielded
        record.method = exchange.pointee.method.rawValue
        record.requestIDCount = exchange.pointee.requestIDCount
        record.requestID = texts.pointee.requestID
        record.pathCount = exchange.pointee.pathCount
        record.isPathCut = exchange.pointee.isPathCut
        record.path = texts.pointee.path
        return record
    }

    static func micros(_ nanos: UInt64) -> UInt32 {
        nanos == .max ? .max : UInt32(min(nanos / 1_000, UInt64(UInt32.max - 1)))
    }
}
