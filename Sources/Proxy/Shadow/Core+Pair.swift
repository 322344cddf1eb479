// Pairs: a request of stable and its copy at a version without weight, counted beside each other so that the
// version can be judged before it has a single user. Both begin in one tick, when the copy is prepared and
// before anything is known of either, and each is settled by itself: a candidate that hangs must not hide
// behind its primary. A pair compares first attempts, because a copy is never repeated.
//
// What is not known is told apart: given up while neither side was settled, a pair counts in neither arm;
// when one side had counted, the other is unknown, and a reader assumes what speaks against their bet. So no
// drop of ours, and no client that leaves, can make a candidate look worse or better than it is.
// Source: the data contract of sequential comparison, mirrored traffic.

import Metrics
import Platform

extension Core {
    /// Two hashes of a key, so that the sides of its pairs, and its other requests, have first events of
    /// their own.
    private static let primarySide: UInt64 = 0x9E6C_63D0_876A_46AD
    private static let copySide: UInt64 = 0x5851_F42D_4C95_7F2D

    /// Begins a pair where stable's own traffic meets a version that has no weight.
    func startPair(_ x: Slot<Exchange>, _ s: Slot<ShadowCopy>) {
        let exchange = exchanges.pointer(x)
        guard models[exchange.pointee.model].isShadowCompared else { return }
        let copy = shadows.pointer(s)
        let weight = versions[copy.pointee.version].weightPPM
        guard weight == 0, !exchange.pointee.isPinned, !exchange.pointee.hasEvidence,
            exchange.pointee.assigned == models[exchange.pointee.model].stable
        else { return }
        exchange.pointee.pair = .open
        exchange.pointee.pairedAt = now
        copy.pointee.isPaired = true
        copy.pointee.pairedAt = now
        copy.pointee.writtenAt = now
        copy.pointee.keyHash = exchange.pointee.keyHash
        let tick = Tick(monotonicNanos: now.nanos)
        link.meter(copy.pointee.version.row).evidence.startCopied(tick: tick, weightPPM: weight)
        link.meter(exchange.pointee.assigned.row).evidence.startCopied(
            tick: tick, weightPPM: exchange.pointee.weightPPM)
        if exchange.pointee.isUnwritten {
            link.meter(exchange.pointee.assigned.row).evidence.waitCopied(start: tick)
        }
    }

    /// The copy's connection is being opened: until it is written its version has been neither fast nor slow
    /// with it.
    func awaitCopyWrite(_ s: Slot<ShadowCopy>) {
        let copy = shadows.pointer(s)
        guard copy.pointee.isPaired else { return }
        copy.pointee.isUnwritten = true
        link.meter(copy.pointee.version.row).evidence.waitCopied(
            start: Tick(monotonicNanos: copy.pointee.pairedAt.nanos))
    }

    /// The copy has a connected socket, or comes to its end without one.
    func endCopyWait(_ s: Slot<ShadowCopy>) {
        let copy = shadows.pointer(s)
        guard copy.pointee.isUnwritten else { return }
        copy.pointee.isUnwritten = false
        copy.pointee.writtenAt = now
        link.meter(copy.pointee.version.row).evidence.endWaitCopied(
            start: Tick(monotonicNanos: copy.pointee.pairedAt.nanos))
    }

    /// Stable's side has come to its end, or its first attempt has.
    func settlePrimary(_ x: Slot<Exchange>, _ outcome: Outcome) {
        let exchange = exchanges.pointer(x)
        let evidence = link.meter(exchange.pointee.assigned.row).evidence
        let begun = exchange.pointee.pairedAt
        let state = exchange.pointee.pair
        exchange.pointee.pair = .none
        let start = Tick(monotonicNanos: begun.nanos)
        guard state == .open, !outcome.isExcluded else {
            let s = exchange.pointee.shadow
            let isCopyOpen = s != .none && shadows[s].isPaired
            if isCopyOpen { void(s, begun) }
            // The copy counts already: what became of this one would have to be known.
            let isUnknown = state == .open && !isCopyOpen
            return evidence.settleCopied(
                start: start, outcome: .localRefusal, micros: 0, isUnknown: isUnknown)
        }
        let key = exchange.pointee.keyHash
        settle(
            evidence, begun, outcome, badEvents(exchange, outcome), since: exchange.pointee.writtenAt,
            key: key == 0 ? 0 : key ^ Self.primarySide, model: exchange.pointee.model)
    }

    /// The copy has been answered, or has failed.
    func settleCopy(_ s: Slot<ShadowCopy>, _ outcome: Outcome) {
        let copy = shadows.pointer(s)
        endCopyWait(s)
        copy.pointee.isPaired = false
        // Held to what its primary is held to: an answer that begins too late is none.
        let limit = models[copy.pointee.model].timeouts.firstByte
        let waited = (copy.pointee.hasHead ? copy.pointee.firstByteAt : now) - copy.pointee.pairedAt
        let isLate = waited > limit && !outcome.isFailure
        let key = copy.pointee.keyHash
        settle(
            link.meter(copy.pointee.version.row).evidence, copy.pointee.pairedAt,
            isLate ? .timeoutFirstByte : outcome,
            isLate || outcome.isFailure ? .failed : copy.pointee.events, since: copy.pointee.writtenAt,
            key: key == 0 ? 0 : key ^ Self.copySide, model: copy.pointee.model)
    }

    /// The copy goes without an end of its own.
    /// - Parameter isLate: it has had all the time that a copy has.
    func giveUpCopy(_ s: Slot<ShadowCopy>, isLate: Bool) {
        let copy = shadows.pointer(s)
        let limit = models[copy.pointee.model].timeouts.firstByte
        if isLate, !copy.pointee.hasHead, now - copy.pointee.pairedAt >= limit {
            return settleCopy(s, .timeoutFirstByte)
        }
        let x = copy.pointee.exchange
        if x != .none, exchanges[x].pair == .open {
            exchanges[x].pair = .void
            return void(s, copy.pointee.pairedAt)
        }
        endCopyWait(s)
        copy.pointee.isPaired = false
        link.meter(copy.pointee.version.row).evidence.settleCopied(
            start: Tick(monotonicNanos: copy.pointee.pairedAt.nanos), outcome: .localRefusal, micros: 0,
            isUnknown: true)
    }

    /// Takes the copy's side out of both counts.
    private func void(_ s: Slot<ShadowCopy>, _ begun: Instant) {
        let copy = shadows.pointer(s)
        endCopyWait(s)
        copy.pointee.isPaired = false
        link.meter(copy.pointee.version.row).evidence.settleCopied(
            start: Tick(monotonicNanos: begun.nanos), outcome: .localRefusal, micros: 0)
    }

    /// Counts one side's end; of a sticky key's bad requests on that side the first.
    private func settle(
        _ evidence: EvidenceRing, _ begun: Instant, _ outcome: Outcome, _ bad: KeyEvents,
        since written: Instant, key: UInt64,
        model: Slot<ModelState>
    ) {
        let start = Tick(monotonicNanos: begun.nanos)
        let micros = (now - written).micros
        var known: KeyEvents = []
        if key != 0 {
            let events = evidence.keyEvents(start: start, outcome: outcome, events: bad, micros: micros)
            if !events.isEmpty {
                let minute = KeyTable.minute(Tick(monotonicNanos: now.nanos))
                known = seat.board.words.keys.note(key, events, model: model.row, minute: minute)
            }
        }
        evidence.settleCopied(start: start, outcome: outcome, events: bad, micros: micros, known: known)
    }
}
