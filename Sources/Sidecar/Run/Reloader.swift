// Reloading a config: reading it and resolving its names can take seconds, so it has a thread of its own;
// only a config that is right as a whole reaches the controller.
// Invariant: reloads are taken over in the order in which they were asked for.

import Config
import Control
import Platform

/// Who wants the config reloaded.
struct ReloadRequest: Sendable {
    var actor: String
    var reason: String
    var reply: (@Sendable (AdminResponse) -> Void)?
}

/// The thread that loads configs.
final class Reloader: Sendable {
    private let worker: Worker<ReloadRequest>
    private let path: String
    private let controller: Controller
    private let resources: ResourceLimits

    init(
        _ path: String, _ controller: Controller, _ resources: ResourceLimits
    ) throws(SystemFailure) {
        worker = try Worker(name: "weir-reload", capacity: 16)
        self.path = path
        self.controller = controller
        self.resources = resources
    }

    func start() throws(SystemFailure) {
        try worker.start { [self] in
            { [self] _ in
                while let request = worker.dequeue() { load(request) }
                return .never
            }
        }
    }

    func stop() { worker.stop() }

    /// Loads, validates and takes over; the answer comes through the request's reply.
    func reload(_ request: ReloadRequest) {
        if !worker.enqueue(request) {
            request.reply?(.refusal(503, "too many reloads wait; nothing was changed"))
        }
    }

    private func configure(_ config: Config, _ request: ReloadRequest) -> ControlCommand {
        if let refusal = resources.refusal(of: config) {
            return .configRefused([refusal], actor: request.actor, reply: request.reply)
        }
        return .configure(
            Reconfiguration(
                config: config, actor: request.actor, reason: request.reason, reply: request.reply))
    }

    private func load(_ request: ReloadRequest) {
        let command: ControlCommand =
            switch ConfigLoader.load(path: path, looksForFiles: true) {
            case .success(let config): configure(config, request)
            case .failure(let problems):
                .configRefused(
                    problems.all.map(\.description), actor: request.actor, reply: request.reply)
            }
        if !controller.post(command) {
            request.reply?(.refusal(503, "the controller is busy; nothing was changed"))
        }
    }
}
