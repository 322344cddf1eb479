// `weir run`: a sidecar under signals. SIGTERM and SIGINT drain (`Leaving`); a second one exits at once.
// SIGHUP reloads. SIGUSR1 reopens the logs. Signals are blocked before the first thread exists and read from
// a descriptor, so no handler runs in the middle of anything.

import Config
import Control
import Glibc
import Logging
import Platform

/// The life of the `weir run` process.
package enum RunCommand {
    private static let signals = [SIGTERM, SIGINT, SIGHUP, SIGUSR1]
    private static let lookEveryMillis: Int32 = 50

    /// Loads, starts, runs until told to stop.
    /// - Parameter logLevel: one of `WeirLog.levels`.
    /// - Returns: the exit code: 0 after a drain, 1 if it cut what was open at its deadline; 78 for a
    ///   config that is wrong; 128 + n after a second signal n; else `SidecarProblem.exitCode`.
    package static func run(configPath: String, logLevel: String) -> Int32 {
        let log = WeirLog.standardError(level: Logger.Level(rawValue: logLevel) ?? .info)
        Signals.block(signals)
        Signals.ignoreBrokenPipe()
        ProcessUsage.raiseDescriptorsMax()
        let config: Config
        switch ConfigLoader.load(path: configPath, looksForFiles: true) {
        case .success(let loaded):
            config = loaded
            for absent in config.absentFiles { log.warning("\(absent)") }
        case .failure(let problems):
            for problem in problems.all { log.critical("\(problem)") }
            log.critical("not started: \(problems.all.count) problems in \(configPath)")
            return 78
        }
        do {
            let received = try Signals.descriptor(for: signals)
            let sidecar = try Sidecar(config: config, configPath: configPath, log: log)
            try sidecar.start()
            announce(sidecar, config, configPath, log)
            Pages.dropStartupCode()
            return try serve(sidecar, received, log)
        } catch let problem as SidecarProblem {
            log.critical("not started: \(problem)")
            return problem.exitCode
        } catch {
            log.critical("not started: \(error)")
            return 71
        }
    }

    private static func announce(_ sidecar: Sidecar, _ config: Config, _ path: String, _ log: Logger) {
        let listeners = sidecar.addresses.map(\.description).joined(separator: ", ")
        log.notice(
            "weir \(Release.version) serves on \(listeners), admin on \(sidecar.adminAddress)",
            metadata: [
                "config": "\(path)", "digest": "\(config.digest.prefix(12))",
                "models": "\(config.models.count)",
                "cores": "\(sidecar.cores)", "state_dir": "\(config.stateDir)",
            ])
        log.notice("limits: \(sidecar.resources.sentence)")
    }

    private static func serve(
        _ sidecar: Sidecar, _ received: borrowing Descriptor, _ log: Logger
    ) throws(SystemFailure) -> Int32 {
        var poller = try Poller(eventsMax: 1)
        if let errno = poller.add(received, token: Token(bits: 0), interest: .readable) {
            throw SystemFailure(operation: "watch signals", errno: errno)
        }
        var leaving: Leaving?
        while true {
            _ = poller.wait(timeoutMillis: leaving == nil ? -1 : lookEveryMillis)
            while let number = Signals.next(received) {
                switch number {
                case SIGHUP: sidecar.reload(actor: "signal", reason: "SIGHUP")
                case SIGUSR1: sidecar.reopenLogs()
                default:
                    if leaving != nil {
                        log.warning("second signal: exiting at once")
                        return 128 + number
                    }
                    leaving = Leaving(sidecar, log, now: Clock.now())
                }
            }
            if let code = leaving?.step(now: Clock.now()) { return code }
        }
    }
}
