// The admin API's table: which path answers what, and who is refused. Pure: a request in, an answer or an
// errand for the controller out.
//
// Theory of the refusals: the admin port listens on loopback, but a browser on the same machine can be made
// to call it by any web page. A page cannot send `Content-Type: application/json` across sites without a
// preflight, which is never granted; it cannot choose `Host` (DNS rebinding shows the attacker's name); and
// browsers say `Sec-Fetch-Site`. All three are checked. The probes are harmless and exempt.

import Control

/// What a request asks for, once it is allowed.
enum AdminErrand: Sendable, Equatable {
    case answer(AdminResponse)
    case liveness
    case readiness
    case metrics(accept: String?)
    case status
    case reports
    case ledger
    case verb(AdminVerb)
    /// - Parameter isLines: one JSON object per line.
    case feedback([UInt8], isLines: Bool)
}

/// The routing of the admin API.
enum AdminRoutes {
    static let paths = "/livez, /readyz, /metrics, /status, /reports, /ledger, /feedback, /verbs/<verb>"
    static let feedback = "/feedback"

    static func errand(_ request: AdminRequest) -> AdminErrand {
        switch request.path {
        case "/livez": return read(request, .liveness)
        case "/readyz": return read(request, .readiness)
        case "/metrics": return guarded(request) ?? read(request, .metrics(accept: request.accept))
        case "/status": return guarded(request) ?? read(request, .status)
        case feedback: return guarded(request) ?? feedback(request)
        case "/outcomes": return guarded(request) ?? .answer(renamed)
        case "/reports": return guarded(request) ?? read(request, .reports)
        case "/ledger": return guarded(request) ?? read(request, .ledger)
        default: break
        }
        guard request.path.hasPrefix("/verbs/") else {
            return .answer(.refusal(404, "there is nothing at this path; the admin API has \(paths)"))
        }
        return guarded(request) ?? verb(request)
    }

    private static func read(_ request: AdminRequest, _ errand: AdminErrand) -> AdminErrand {
        guard request.method == "GET" || request.method == "HEAD" else {
            return .answer(notAllowed("GET, HEAD"))
        }
        return errand
    }

    private static func notAllowed(_ methods: String) -> AdminResponse {
        var response = AdminResponse.refusal(405, "this path takes \(methods)")
        response.allow = methods
        return response
    }

    /// The answer to a post under the path of earlier releases.
    private static let renamed = AdminResponse.refusal(
        410, "posted results are feedback now: send the same body to \(feedback)")

    private static func feedback(_ request: AdminRequest) -> AdminErrand {
        guard request.method == "POST" else { return .answer(notAllowed("POST")) }
        switch request.contentType {
        case "application/json": return .feedback(request.body, isLines: false)
        case "application/x-ndjson": return .feedback(request.body, isLines: true)
        default:
            return .answer(
                .refusal(
                    415,
                    "feedback needs Content-Type: application/json (an object or an array) or "
                        + "application/x-ndjson (an object per line)"))
        }
    }

    private static func verb(_ request: AdminRequest) -> AdminErrand {
        let name = String(request.path.dropFirst("/verbs/".count))
        guard let word = AdminVerb.Word(rawValue: name) else {
            let known = AdminVerb.Word.allCases.map(\.rawValue).joined(separator: ", ")
            return .answer(.refusal(404, "there is no such verb; known are \(known)"))
        }
        guard request.method == "POST" else { return .answer(notAllowed("POST")) }
        guard request.contentType == "application/json" else {
            return .answer(
                .refusal(415, "verbs need Content-Type: application/json, also when the body is empty"))
        }
        do throws(VerbProblem) {
            return .verb(try AdminVerb(word: word, body: request.body))
        } catch {
            return .answer(.refusal(400, error.sentence))
        }
    }

    /// The refusal of a request that a web page may have caused; nil when it is welcome.
    private static func guarded(_ request: AdminRequest) -> AdminErrand? {
        if let site = request.fetchSite, site != "same-origin", site != "none" {
            return .answer(.refusal(403, "requests that another site causes in a browser are refused"))
        }
        if let origin = request.origin, !isOwn(host: host(ofOrigin: origin), request.peer) {
            return .answer(.refusal(403, "requests of another origin are refused"))
        }
        guard isOwn(host: request.host, request.peer) else {
            return .answer(
                .refusal(421, "Host must be localhost, a loopback address or the address of this listener"))
        }
        return nil
    }

    /// Whether a host name can only mean this machine: names that DNS resolves are never trusted.
    static func isOwn(host: String, _ peer: AdminPeer) -> Bool {
        if peer.isUnixSocket && host.isEmpty { return true }
        if host == "localhost" || host == "::1" { return true }
        if host == peer.localHost { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// The host of "http://localhost:9902"; the whole text when it is not of that form ("null").
    static func host(ofOrigin origin: String) -> String {
        for scheme in ["http://", "https://"] where origin.hasPrefix(scheme) {
            return host(ofAuthority: String(origin.dropFirst(scheme.count)))
        }
        return origin
    }

    /// "localhost" of "LOCALHOST:9902", "::1" of "[::1]:9902".
    static func host(ofAuthority authority: String) -> String {
        let text = authority.lowercased()
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            return String(text[text.index(after: text.startIndex)..<end])
        }
        return String(text.prefix { $0 != ":" })
    }
}
