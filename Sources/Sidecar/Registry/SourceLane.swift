// One source: the thread that asks a registry where an alias points, so that a registry that hangs delays no
// other and nobody who decides.
//
// Theory: an answer counts when it differs from the one before. It is written to the disk first, then handed
// to the controller, which resolves the config in force with it: a plan is a function of the file and of the
// answers. An answer that takes a candidate away is handed over even if the disk refuses it. Whatever goes
// wrong, the last answer stays in force, the poll is counted, and a sentence says so until a poll goes well.
//
// Invariant: a poll ends within the call's time limit; polls never overlap; a move that was not taken over is
// tried again by the next poll.

import Config
import Control
import Logging
import Platform
import Synchronization

/// What a lane needs from the outside.
struct SourceOutlets: Sendable {
    /// Makes a model's answer durable; the reason when the disk refuses.
    var save: @Sendable (String, SourceAnswer) -> String?
    /// Hands a move to the controller, without waiting; false when it is busy.
    var move: @Sendable (SourceMove) -> Bool
    var log: Logger
}

/// One source's thread.
final class SourceLane: Sendable {
    private struct State {
        var source: CandidateSource
        var stable: String
        var answer: SourceAnswer?
        var polls: [SourcePoll: UInt64] = [:]
        var answeredMicros: UInt64?
        /// Since when the registry has said, without another answer between, that the alias's version is
        /// gone.
        var goneSince: Instant?
        /// Why the last poll brought nothing, as a clause.
        var failure: String?
        var random: Random64
        var nextPoll = Instant(nanos: 0)
        var isEnding = false
    }

    let model: String
    private let state: Mutex<State>
    private let wakeup: Wakeup
    private let hasEnded = Atomic<Bool>(false)
    private let thread = Mutex<Thread?>(nil)
    private let outlets: SourceOutlets

    /// - Parameter seed: of the jitter between polls.
    init(
        _ model: String, _ source: CandidateSource, stable: String, answer: SourceAnswer?, seed: UInt64,
        _ outlets: SourceOutlets
    ) throws(SystemFailure) {
        self.model = model
        state = Mutex(
            State(source: source, stable: stable, answer: answer, random: Random64(seed: seed)))
        wakeup = try Wakeup()
        self.outlets = outlets
    }

    func start() throws(SystemFailure) {
        let pace = try LanePace(wakeup, of: "a source")
        let started = try Thread.spawn(name: "weir-source") { [self] in
            pace.run(wakeup, step)
            hasEnded.store(true, ordering: .releasing)
        }
        thread.withLock { $0 = started }
    }

    /// Another source for the same model, asked at once.
    func change(to source: CandidateSource, stable: String) {
        let isSame = state.withLock { state in
            if state.source == source, state.stable == stable { return true }
            if state.source.pointer != source.pointer { state.goneSince = nil }
            state.source = source
            state.stable = stable
            state.nextPoll = Instant(nanos: 0)
            return false
        }
        if !isSame { wakeup.signal() }
    }

    /// Ends the thread; a call under way is given up.
    func end() {
        state.withLock { $0.isEnding = true }
        wakeup.signal()
    }

    var isOver: Bool { hasEnded.load(ordering: .acquiring) }

    var status: SourceStatus {
        state.withLock { state in
            let source = state.source
            let (choice, unmapped) = source.choice(state.answer, stable: state.stable)
            let sentence = source.sentence(state.answer, stable: state.stable)
            var status = SourceStatus(model: model, pointer: source.pointer, sentence: sentence)
            if case .candidate(let number, let version) = choice {
                (status.number, status.candidate) = (number, version)
            }
            status.polls = state.polls
            status.answeredMicros = state.answeredMicros
            if let failure = state.failure {
                status.trouble = "\(failure); \(source.standing(choice))"
            } else if unmapped != nil {
                status.trouble = sentence
            }
            return status
        }
    }

    // MARK: The lane's thread

    private func step(now: Instant) -> LaneStep {
        let (step, source) = state.withLock { state in
            let step: LaneStep =
                state.isEnding ? .end : state.nextPoll > now ? .wait(state.nextPoll) : .again
            return (step, state.source)
        }
        if case .again = step { poll(source) }
        return step
    }

    /// Asks once and does what follows.
    private func poll(_ source: CandidateSource) {
        let heard: Result<AliasReading, MLflowStop>
        do throws(MLflowStop) {
            let registry = try MLflowRegistry(
                source.access, model: source.model, isCancelled: { [self] in isCancelled(source) })
            heard = .success(try registry.reading(of: source.alias))
        } catch {
            heard = .failure(error)
        }
        // What another source said under this name is nobody's answer.
        guard !isCancelled(source) else { return }
        switch heard {
        case .success(.target(.missing)): missing(source, wallMicros: Clock.wallMicros())
        case .success(.target(let target)): take(target, source, wallMicros: Clock.wallMicros())
        case .success(.gone): gone(source, now: Clock.now(), wallMicros: Clock.wallMicros())
        case .failure(let stop):
            let since = state.withLock { $0.goneSince }
            settle(
                source, .failed, isGoneSince: since, failure: "the registry cannot be asked: \(stop.sentence)"
            )
        }
    }

    private func isCancelled(_ source: CandidateSource) -> Bool {
        state.withLock { $0.isEnding || $0.source != source }
    }

    /// There is no such alias.
    private func missing(_ source: CandidateSource, wallMicros: UInt64) {
        if source.missing == .keep, status.candidate != nil {
            let failure = "there is no mlflow alias \(source.alias) (missing: keep)"
            return settle(source, .missing, isGoneSince: nil, failure: failure)
        }
        take(.missing, source, wallMicros: wallMicros)
    }

    /// The alias is there, and its version is not. Registries repair themselves and are repaired, so this
    /// has to be said for a while; polls that bring no answer say nothing about it.
    private func gone(_ source: CandidateSource, now: Instant, wallMicros: UInt64) {
        let since = state.withLock { $0.goneSince } ?? now
        let what = "the version that mlflow alias \(source.alias) names is not in the registry"
        guard status.candidate != nil else {
            return settle(source, .gone, isGoneSince: since, failure: what)
        }
        switch source.missing {
        case .keep: settle(source, .gone, isGoneSince: since, failure: "\(what) (missing: keep)")
        case .stop(let after) where now - since < after:
            let time = Notation.text(after)
            settle(
                source, .gone, isGoneSince: since, failure: "\(what), which stops the candidate after \(time)"
            )
        case .stop:
            take(.missing, source, wallMicros: wallMicros, isGoneSince: since, because: what)
        }
    }

    /// - Parameters:
    ///   - isGoneSince: since when the alias's version is gone; nil: it is not.
    ///   - because: what is wrong, where the answer is none that the registry gave.
    private func take(
        _ target: AliasTarget, _ source: CandidateSource, wallMicros: UInt64, isGoneSince: Instant? = nil,
        because: String? = nil
    ) {
        let (old, stable) = state.withLock { ($0.answer, $0.stable) }
        let new = source.answer(target, after: old, wallMicros: wallMicros)
        let sentence = because.map { "\($0): there is no candidate" } ?? source.sentence(new, stable: stable)
        if new != old, let refusal = hand(over: new, after: old, source, stable: stable, sentence) {
            return settle(source, .refused, isGoneSince: isGoneSince, failure: refusal)
        }
        let result: SourcePoll =
            switch target {
            case .missing: because == nil ? .missing : .gone
            case .version(let number): source.versions[number] == nil ? .unmapped : .mapped
            }
        settle(
            source, result, isGoneSince: isGoneSince, answer: new, wallMicros: wallMicros, failure: because)
    }

    /// Disk first, then the controller.
    /// - Returns: why the answer is not taken over; nil when it is.
    private func hand(
        over new: SourceAnswer, after old: SourceAnswer?, _ source: CandidateSource, stable: String,
        _ sentence: String
    ) -> String? {
        let candidate = source.choice(new, stable: stable).inForce.candidate
        let isRaising = candidate != nil && candidate != source.choice(old, stable: stable).inForce.candidate
        if let reason = outlets.save(model, new) {
            if isRaising { return "\(sentence), is not taken over: it cannot be made durable (\(reason))" }
            outlets.log.error(
                "\(sentence); a restart without the registry will not know it: \(reason)",
                metadata: ["model": "\(model)"])
        }
        let move = SourceMove(
            model: model, answer: new, actor: "mlflow alias \(source.alias)", sentence: sentence)
        return outlets.move(move) ? nil : "\(sentence), is not taken over: the controller is busy"
    }

    /// Counts the poll, says loudly what has begun or ended to be wrong, and sets the time of the next.
    private func settle(
        _ source: CandidateSource, _ result: SourcePoll, isGoneSince: Instant?, answer: SourceAnswer? = nil,
        wallMicros: UInt64 = 0, failure: String? = nil
    ) {
        let before = status
        let isCurrent = state.withLock { state in
            state.polls[result, default: 0] += 1
            state.failure = failure
            if state.source.pointer == source.pointer { state.goneSince = isGoneSince }
            if let answer {
                state.answer = answer
                state.answeredMicros = wallMicros
            }
            // A source that has changed meanwhile is asked at once.
            guard state.source == source else { return false }
            // Many Weirs that start together should not ask together for ever.
            let pause = Double(source.every.nanos) * (0.9 + 0.2 * state.random.unit())
            state.nextPoll = Clock.now() + Interval(nanos: UInt64(pause))
            return true
        }
        let after = status
        let isNews = (before.trouble == nil) != (after.trouble == nil) || before.sentence != after.sentence
        guard isCurrent, isNews else { return }
        if let trouble = after.trouble {
            outlets.log.warning("\(trouble)", metadata: ["model": "\(model)"])
        } else {
            outlets.log.notice("\(after.sentence)", metadata: ["model": "\(model)"])
        }
    }
}
