// The last part of a process's life, from the signal that ends it on:
//
//   announced ──delay──▶ draining ──nobody left──▶ exit 0
//                           └──deadline──▶ cutting ──▶ exit 1, or 0 when there was nothing to cut
//
// Announced: readiness says 503, and requests are served as before, so that load balancers look away first.
// Draining: nothing new is taken, what is idle closes. Cutting: what is still open ends with a reset, or
// with a 503 where nothing of an answer was sent.
// Theory: one step for each look of `RunCommand`; both times count from the signal.

import Config
import Control
import Logging
import Platform
import Synchronization

/// What the config in force says of the end; a reload changes it.
final class DrainInForce: Sendable {
    let times: Mutex<DrainConfig>

    init(_ times: DrainConfig) { self.times = Mutex(times) }
}

/// A sidecar on its way out.
struct Leaving {
    private enum Stage {
        case announced
        case draining
        case cutting(giveUpAt: Instant)
    }

    /// Longest wait for the cores to cut.
    private static let cutMax = Interval.seconds(2)
    private let sidecar: Sidecar
    private let log: Logger
    private let times: DrainConfig
    private let closesAt: Instant
    private let endsAt: Instant
    private var stage = Stage.announced

    init(_ sidecar: Sidecar, _ log: Logger, now: Instant) {
        self.sidecar = sidecar
        self.log = log
        times = sidecar.drainTimes
        closesAt = now + times.delay
        endsAt = now + times.deadline
        sidecar.announceDrain()
        let closing = times.delay > .zero ? "listeners close in \(Notation.text(times.delay)), " : ""
        log.notice("draining: \(closing)requests in progress have \(Notation.text(times.deadline))")
    }

    /// Goes on as far as the time allows; the exit code at the end.
    mutating func step(now: Instant) -> Int32? {
        if case .announced = stage, now >= closesAt {
            sidecar.drain()
            stage = .draining
        }
        if case .draining = stage {
            if sidecar.isDrained {
                sidecar.stop()
                log.notice("drained, stopped")
                return 0
            }
            if now >= endsAt {
                sidecar.cutOff()
                stage = .cutting(giveUpAt: now + Self.cutMax)
            }
        }
        if case .cutting(let giveUpAt) = stage, sidecar.isCutOff || now >= giveUpAt { return finish() }
        return nil
    }

    private func finish() -> Int32 {
        let isWhole = sidecar.isCutOff
        let (count, lines) = sidecar.cuts
        sidecar.stop()
        for line in lines { log.warning("cut at the drain deadline: \(line)") }
        if count > lines.count { log.warning("cut at the drain deadline: \(count - lines.count) more") }
        let deadline = Notation.text(times.deadline)
        guard isWhole else {
            log.error("drain deadline (\(deadline)) reached; a core did not answer, what it held is cut")
            return 1
        }
        guard count > 0 else {
            log.notice("drain deadline (\(deadline)) reached, no request was in progress; stopped")
            return 0
        }
        let requests = count == 1 ? "1 request was cut" : "\(count) requests were cut"
        log.warning("drain deadline (\(deadline)) reached, \(requests); stopped")
        return 1
    }
}
