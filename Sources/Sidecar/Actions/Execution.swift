// A program as a sink: started without a shell, the notice as JSON on its standard input and as WEIR_…
// variables, ended with its whole process group when it takes too long. What it writes last is journaled.
// Invariant: when an attempt returns, the program is reaped, and its group has been signalled if it was late.

import Config
import Control
import Glibc
import Payload
import Platform

/// One program.
struct Execution {
    let config: ExecConfig
    /// Of what the program writes, the last so many bytes are kept.
    static let tailBytesMax = 4 << 10

    func attempt(_ notice: Notice, _ context: AttemptContext) -> AttemptOutcome {
        do throws(SystemFailure) {
            let child = try Child(config.command, environment: Self.environment(notice, context.attempt))
            return ExecutionRun(child, try Poller(eventsMax: 2), Array(notice.json.text.utf8) + [0x0A])
                .run(config, context)
        } catch {
            return .failed("\(error)")
        }
    }

    /// Weir's own environment, and the notice's main members.
    static func environment(_ notice: Notice, _ attempt: Int) -> [String] {
        var own: [String] = []
        var entry = environ
        while let pointer = entry.pointee {
            let text = String(cString: pointer)
            if !text.hasPrefix("WEIR_") { own.append(text) }
            entry += 1
        }
        let more: [(String, String)] = [
            ("EVENT", notice.kind.rawValue), ("DELIVERY", notice.deliveryID), ("ATTEMPT", "\(attempt)"),
            ("MODEL", notice.model), ("VERSIONS", notice.versions.joined(separator: ",")),
            ("STABLE", notice.stable ?? ""), ("ACTOR", notice.actor), ("REASON", notice.reason),
            ("CUT", notice.cutID ?? ""), ("EPOCH_BEFORE", notice.epochBefore.map(String.init) ?? ""),
            ("EPOCH_AFTER", notice.epochAfter.map(String.init) ?? ""),
            ("RUNBOOK_URL", notice.runbookURL ?? ""), ("AT", Timestamp.text(wallMicros: notice.wallMicros)),
        ]
        // A script prints these; the notice on its standard input has them as they were. Bound: no single
        // variable may fill the space that exec(2) has for all of them.
        return own + more.map { name, value in "WEIR_\(name)=\(ForeignText.line(value))" }
    }
}

/// A program under way.
private final class ExecutionRun {
    private var child: Child
    private var poller: Poller
    private var input: ArraySlice<UInt8>
    private var tail: [UInt8] = []
    private var isOutputOpen = true

    init(_ child: consuming Child, _ poller: consuming Poller, _ input: [UInt8]) {
        self.child = child
        self.poller = poller
        self.input = input[...]
    }

    func run(_ config: ExecConfig, _ context: AttemptContext) -> AttemptOutcome {
        let deadline = Clock.now() + config.timeout
        var status = wait(until: deadline, context.isCancelled)
        var why: String?
        if status == nil {
            why =
                context.isCancelled()
                ? "was ended because Weir stops"
                : "was ended: it ran longer than \(Notation.text(config.timeout))"
            child.signalGroup(SIGTERM)
            status = wait(until: Clock.now() + ExecConfig.grace) { false }
        }
        // Also what it has left behind: only programs of its group may still hold the pipe.
        if why != nil { child.signalGroup(SIGKILL) }
        while status == nil {
            _ = poller.wait(timeoutMillis: 10)
            status = child.poll()
        }
        drain()
        return outcome(status ?? .exited(-1), why, config, context)
    }

    private func outcome(
        _ status: ChildStatus, _ why: String?, _ config: ExecConfig, _ context: AttemptContext
    ) -> AttemptOutcome {
        let name = config.command[0]
        let details: [JSON.Member] = [
            .init("output", .string(String(decoding: tail, as: UTF8.self)))
        ]
        if let why { return context.isCancelled() ? .cancelled : .failed("\(name) \(why)", details: details) }
        switch status {
        case .exited(0): return .done("\(name) ended with 0", details: details)
        case .exited(let code): return .failed("\(name) ended with \(code)", details: details)
        case .signalled(let number): return .failed("\(name) ended by signal \(number)", details: details)
        }
    }

    /// Feeds and reads it until it has ended; nil when the time is over.
    private func wait(until deadline: Instant, _ isCancelled: () -> Bool) -> ChildStatus? {
        watch()
        while true {
            feed()
            drain()
            if let status = child.poll() { return status }
            let now = Clock.now()
            guard now < deadline, !isCancelled() else { return nil }
            // Its end raises no event here, so it is looked for: 20 ms are nothing to a program.
            _ = poller.wait(timeoutMillis: Int32(clamping: min((deadline - now).millis + 1, 20)))
        }
    }

    /// Failing to watch costs 20 ms a look, nothing else.
    private func watch() { _ = poller.add(child.output, token: Token(bits: 0), interest: .readable) }

    /// Hands over what the program takes of its input; one that does not read it loses nothing but that.
    private func feed() {
        while !input.isEmpty, child.input != nil {
            let moved = input.withUnsafeBytes { bytes in child.input?.write(bytes) ?? .closed }
            switch moved {
            case .moved(let count): input = input.dropFirst(count)
            case .wouldBlock: return
            case .closed, .failed: input = []
            }
        }
        child.closeInput()
    }

    private func drain() {
        var piece = [UInt8](repeating: 0, count: 16 << 10)
        while isOutputOpen {
            switch piece.withUnsafeMutableBytes({ child.output.read(into: $0) }) {
            case .moved(let count):
                tail += piece[..<count]
                tail = Array(tail.suffix(Execution.tailBytesMax))
            case .wouldBlock: return
            case .closed, .failed: isOutputOpen = false
            }
        }
    }
}
