// What one attempt to tell a sink came to, and what it may cost. Sinks are values with one function from a
// notice to an outcome; lanes decide what follows from it.
// Invariant: no text here holds a secret, a token or a URL's path.

import Calls
import Config
import Control
import Payload
import Platform

/// The outcome of one attempt.
enum AttemptOutcome: Sendable {
    /// The sink has it; `details` go into the journal.
    case done(String, details: [JSON.Member] = [])
    /// Another attempt may succeed; `after` is the sink's own wish for a pause.
    case failed(String, after: Interval? = nil, details: [JSON.Member] = [])
    /// No other attempt can succeed.
    case refused(String, details: [JSON.Member] = [])
    /// Given up because Weir stops; what is owed is owed.
    case cancelled
}

/// What an attempt gets besides the notice.
struct AttemptContext: Sendable {
    /// From 1.
    var attempt: Int
    /// The wall clock, microseconds since 1970.
    var wallMicros: UInt64
    /// Asked while the attempt waits.
    var isCancelled: @Sendable () -> Bool
}

extension ActionSink {
    /// Tells the sink; blocks within its time limits.
    func attempt(_ notice: Notice, _ context: AttemptContext) -> AttemptOutcome {
        switch self {
        case .webhook(let config): Webhook(config: config).attempt(notice, context)
        case .exec(let config): Execution(config: config).attempt(notice, context)
        case .mlflow(let config): MLflowAliases(config: config).attempt(notice, context)
        case .argo(let config): ArgoRollout(config: config).attempt(notice, context)
        case .kubernetes(let config): KubernetesPatch(config: config).attempt(notice, context)
        }
    }
}

extension AttemptOutcome {
    /// What follows from a call that gave no answer.
    init(_ failure: HTTPFailure) {
        self = failure.stage == .cancelled ? .cancelled : .failed("\(failure)")
    }

    /// The longest pause that a sink can ask for; `max_age` ends the attempts in any case.
    static let wishMax = Interval.seconds(3_600)

    /// What follows from an answer that is no success.
    init(_ answer: HTTPAnswer, from origin: String, wallMicros: UInt64 = Clock.wallMicros()) {
        let said = answer.body.isEmpty ? "" : ": \(answer.excerpt)"
        let reason = "\(origin) answered \(answer.status)\(said)"
        // The sink says that this content will never do; anything else may pass.
        if [400, 405, 410, 413, 414, 415, 422].contains(answer.status) {
            self = .refused(reason)
        } else {
            self = .failed(reason, after: answer.retryAfter(wallMicros: wallMicros, atMost: Self.wishMax))
        }
    }
}

/// A secret in a file, read anew at each use.
enum SecretFile {
    /// Larger files are no secrets.
    static let bytesMax = 64 << 10

    /// The file's bytes without the space and newlines around them; a failure's text names the path only.
    static func read(_ path: String) -> Result<String, SecretProblem> {
        do throws(SystemFailure) {
            let text = String(decoding: try File.readRegular(path, bytesMax: bytesMax), as: UTF8.self)
            let isBlank: (Character) -> Bool = { $0.isWhitespace || $0.isNewline }
            guard let first = text.firstIndex(where: { !isBlank($0) }),
                let last = text.lastIndex(where: { !isBlank($0) })
            else { return .failure(SecretProblem(reason: "\(path) is empty, a secret was expected in it")) }
            return .success(String(text[first...last]))
        } catch {
            return .failure(SecretProblem(reason: "the secret cannot be read: \(error)"))
        }
    }
}

/// Why there is no secret.
struct SecretProblem: Error {
    var reason: String
}
