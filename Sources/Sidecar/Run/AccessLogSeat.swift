// Where the access log stands: the writer of the configured destination, and its replacement when a reload
// names another one. Opening and closing files can take as long as a disk likes, so a switch has a thread of
// its own. Invariant: the cores' rings have one reader at a time: the writer, or nobody while it is being
// replaced, or, where there is no access log, whoever calls `discard`.

import Config
import Control
import Logging
import Platform
import Proxy
import Synchronization

/// The access log of a sidecar.
final class AccessLogSeat: Sendable {
    private struct State {
        var writer: AccessLogWriter?
        var destination = AccessLogConfig.Destination.none
        var isSwitching = false
        /// Lines of writers that are gone.
        var written: UInt64 = 0
        var lost: UInt64 = 0
    }

    private let state = Mutex(State())
    private let plane: DataPlane
    private let log: Logger

    init(_ plane: DataPlane, log: Logger) {
        self.plane = plane
        self.log = log
    }

    /// Opens the first destination; one that cannot be opened stops the start.
    func start(_ config: AccessLogConfig, _ plan: Plan) throws(SystemFailure) {
        let writer = try open(config.destination, plan)
        state.withLock {
            $0.writer = writer
            $0.destination = config.destination
        }
    }

    private func open(
        _ destination: AccessLogConfig.Destination, _ plan: Plan
    ) throws(SystemFailure) -> AccessLogWriter? {
        let path: String?
        switch destination {
        case .none: return nil
        case .standardOutput: path = nil
        case .file(let name): path = name
        }
        return try AccessLogWriter(
            path: path, plan: plan, warn: { [log] in log.warning("\($0)") },
            source: { [plane] body in plane.drainAccessLog(body) })
    }

    /// Takes over the names of a plan before it is published, and the destination of its config.
    func adopt(_ config: AccessLogConfig, _ plan: Plan) {
        let isNew = state.withLock { state in
            state.writer?.adopt(plan)
            guard state.destination != config.destination, !state.isSwitching else { return false }
            state.isSwitching = true
            state.destination = config.destination
            return true
        }
        guard isNew else { return }
        do throws(SystemFailure) {
            _ = try Thread.spawn(name: "weir-log-switch") { [self] in move(to: config.destination, plan) }
        } catch {
            state.withLock { $0.isSwitching = false }
            log.error("access log: \(error); it stays where it was")
        }
    }

    private func move(to destination: AccessLogConfig.Destination, _ plan: Plan) {
        let old = state.withLock { $0.writer.take() }
        old?.stop()
        var next: AccessLogWriter?
        do throws(SystemFailure) {
            next = try open(destination, plan)
        } catch {
            log.error("access log: \(error); nothing is logged until a reload names a destination that opens")
        }
        state.withLock { state in
            state.written += old?.written ?? 0
            state.lost += old?.lost ?? 0
            state.writer = next
            state.isSwitching = false
            // A destination that did not open is tried again by the next reload.
            if next == nil { state.destination = .none }
        }
    }

    /// Empties the rings where nobody else does, or they would count lost records.
    func discard() {
        state.withLock { state in
            guard state.writer == nil, !state.isSwitching else { return }
            plane.drainAccessLog { _ in }
        }
    }

    func reopen() { state.withLock { $0.writer }?.reopen() }

    func stop() { state.withLock { $0.writer }?.stop() }

    /// Lines that reached a destination, and lines that it did not take.
    var counts: (written: UInt64, lost: UInt64) {
        state.withLock { ($0.written + ($0.writer?.written ?? 0), $0.lost + ($0.writer?.lost ?? 0)) }
    }
}
