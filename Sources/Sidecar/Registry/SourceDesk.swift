// All sources: a lane for each model whose candidate a registry names, and the file of their answers.
// Place: the sidecar makes it with the answers that were saved and ends it; the control loop's configs start,
// change and end lanes; moves go to the controller.
// Invariant: nobody who decides waits for a registry or for this file; lanes wait for each other only while
// one of them writes it.

import Config
import Control
import Logging
import Platform
import Synchronization

/// The sources of a sidecar.
final class SourceDesk: Sendable {
    /// What was known when the process started, by model name.
    let saved: [String: SourceAnswer]
    private let answers: Mutex<Answers>
    private let lanes = Mutex<[SourceLane]>([])
    /// Lanes whose model has its candidate from elsewhere now.
    private let leaving = Mutex<[SourceLane]>([])
    private struct Answers {
        var byModel: [String: SourceAnswer]
        /// Whose answers are kept.
        var models: Set<String> = []
    }

    private let directory: String
    private let log: Logger
    private let move: @Sendable (SourceMove) -> Bool

    /// Reads the answers of an earlier process; a damaged file is said and counts as none.
    /// - Parameter move: hands a move to the controller, without waiting; false when it is busy.
    init(directory: String, log: Logger, move: @escaping @Sendable (SourceMove) -> Bool) {
        self.directory = directory
        self.log = log
        self.move = move
        switch SourceFile.load(directory) {
        case .success(let answers): saved = answers
        case .failure(let problem):
            log.error("\(problem.reason); models whose candidate a registry names start without one")
            saved = [:]
        }
        answers = Mutex(Answers(byModel: saved))
    }

    /// Starts, changes and ends lanes so that each source of a config has one.
    func adopt(_ models: [ModelConfig]) {
        let sourced = models.filter { $0.source != nil }.map(\.name)
        answers.withLock { $0.models = Set(sourced) }
        let known = lanes.withLock { $0 }
        var next: [SourceLane] = []
        for model in models {
            guard let source = model.source else { continue }
            if let lane = known.first(where: { $0.model == model.name }) {
                lane.change(to: source, stable: model.stable)
                next.append(lane)
            } else if let lane = started(model, source) {
                next.append(lane)
            }
        }
        let gone = known.filter { lane in !next.contains { $0 === lane } }
        lanes.withLock { $0 = next }
        for lane in gone { lane.end() }
        leaving.withLock { leaving in leaving = leaving.filter { !$0.isOver } + gone }
    }

    private func started(_ model: ModelConfig, _ source: CandidateSource) -> SourceLane? {
        let answer = answers.withLock { $0.byModel[model.name] }
        if answer?.pointer != source.pointer {
            log.warning(
                "\(source.text) has not been heard of yet: until it is, there is no candidate",
                metadata: ["model": "\(model.name)"])
        }
        let outlets = SourceOutlets(save: { [self] in save($0, $1) }, move: move, log: log)
        do throws(SystemFailure) {
            let lane = try SourceLane(
                model.name, source, stable: model.stable, answer: answer, seed: Entropy.word(), outlets)
            try lane.start()
            return lane
        } catch {
            log.error("\(source.text) has no thread and is not asked: \(error)")
            return nil
        }
    }

    /// Makes one more answer durable, with those of all models that have a source.
    /// - Returns: why not; the file then says what it said.
    private func save(_ model: String, _ answer: SourceAnswer) -> String? {
        answers.withLock { answers in
            var next = answers.byModel.filter { answers.models.contains($0.key) }
            next[model] = answer
            do throws(SystemFailure) {
                try SourceFile.save(next, in: directory)
                answers.byModel = next
                return nil
            } catch {
                return "\(error)"
            }
        }
    }

    /// What each source has said, in the order of the config.
    var status: [SourceStatus] { lanes.withLock { $0 }.map(\.status) }

    /// What is wrong with sources, as one sentence.
    var trouble: String? {
        let troubles = status.compactMap { status in status.trouble.map { "\(status.model): \($0)" } }
        return troubles.isEmpty ? nil : troubles.joined(separator: "; ")
    }

    /// Ends all threads; one that hangs in the resolver is left behind.
    func stop() {
        // A lane holds on to the desk, which saves its answers: the desk lets go of the lanes.
        let all = Self.emptied(lanes) + Self.emptied(leaving)
        for lane in all { lane.end() }
        let deadline = Clock.now() + .seconds(3)
        guard var poller = try? Poller(eventsMax: 1) else { return }
        while all.contains(where: { !$0.isOver }), Clock.now() < deadline {
            _ = poller.wait(timeoutMillis: 5)
        }
    }

    private static func emptied(_ lanes: borrowing Mutex<[SourceLane]>) -> [SourceLane] {
        lanes.withLock { lanes in
            defer { lanes = [] }
            return lanes
        }
    }
}
